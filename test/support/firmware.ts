import { randomUUID } from 'node:crypto';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import type { NodeAPI } from 'node-red';
import type { FirmwareFiles, ImageInfo } from '../../lib/firmware/ports.js';
import { defineNode } from '../../nodes/runtime/define-node.js';

export const IMAGE: ImageInfo = {
  imageId: '0190a000-0000-7000-8000-000000000001',
  version: '1.0.1',
  fileSize: 779,
  checksum: '8a3be389a446bba670da3a33e5506d2e',
  sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
};

/** Images as the rollouts see them; the URL says until when it is good. */
export const testFiles: FirmwareFiles = {
  image: (imageId) => (imageId === IMAGE.imageId ? IMAGE : undefined),
  url: (imageId, expiresAt) => `https://files.example/${imageId}?expires=${expiresAt}`,
};

/** A configuration node that provides `testFiles`. */
export function testFilesNode(RED: NodeAPI): void {
  defineNode(RED, 'test-firmware-files', ({ provide }) => {
    provide(testFiles);
    return {};
  });
}

export interface WireMessage {
  event_type: string;
  correlation_id: string | null;
  payload: Record<string, unknown> & { deployment_id: string };
}

type Behaviour = (message: WireMessage, controller: TestController) => void;

export interface TestController {
  readonly storeId: string;
  readonly controllerId: string;
  readonly received: WireMessage[];
  /** Publishes with QoS 1 on its action or ack topic. */
  say(type: string, about: WireMessage, extra?: object): Promise<unknown>;
}

/** Acknowledges and completes each update at once, and cancels what it is asked to. */
export const obedient: Behaviour = (message, controller) => {
  if (message.event_type === 'update_firmware') {
    void controller.say('update_firmware_ack', message);
    void controller.say('update_firmware_completed', message);
  } else if (message.event_type === 'cancel_update_firmware') {
    void controller.say('cancel_update_firmware_ack', message);
  }
};

/** Acknowledges each update and reports that it failed. */
export const failing: Behaviour = (message, controller) => {
  if (message.event_type !== 'update_firmware') return;
  void controller.say('update_firmware_ack', message);
  void controller.say('update_firmware_failed', message, { errors: ['no space left'] });
};

/** Many controllers on one real MQTT connection. */
export async function simulatedFleet(
  url: string,
  login: IClientOptions,
  count: number,
  behaviourOf: (index: number) => Behaviour | undefined = () => obedient,
): Promise<{ controllers: TestController[]; client: MqttClient; close(): Promise<void> }> {
  const client = await connectAsync(url, {
    ...login,
    clientId: `fleet-${randomUUID()}`,
    clean: false,
    reconnectPeriod: 100,
  });
  client.on('error', () => {}); // a refused connection while the gateway is away
  const storeId = randomUUID();
  const byTopic = new Map<string, { controller: TestController; behaviour: Behaviour | undefined }>();
  const controllers = Array.from({ length: count }, (_, index): TestController => {
    const controllerId = randomUUID();
    const base = `/stores/${storeId}/controllers/${controllerId}`;
    const controller: TestController = {
      storeId,
      controllerId,
      received: [],
      say: (type, about, extra = {}) =>
        client
          .publishAsync(
            `${base}/${type.endsWith('_ack') ? 'ack' : 'action'}`,
            JSON.stringify({
              version: '1.0.0',
              event_type: type,
              timestamp: new Date().toISOString(),
              correlation_id: about.correlation_id,
              controller_id: controllerId,
              store_id: storeId,
              payload: { deployment_id: about.payload.deployment_id, ...extra },
            }),
            { qos: 1 },
          )
          .catch(() => {}),
    };
    byTopic.set(`${base}/action`, { controller, behaviour: behaviourOf(index) });
    return controller;
  });
  client.on('message', (topic, payload) => {
    const found = byTopic.get(topic);
    const message = JSON.parse(payload.toString()) as WireMessage;
    // A controller hears what it publishes on its own action topic.
    if (!['update_firmware', 'cancel_update_firmware'].includes(message.event_type)) return;
    found?.controller.received.push(message);
    found?.behaviour?.(message, found.controller);
  });
  await client.subscribeAsync([...byTopic.keys()], { qos: 1 });
  return { controllers, client, close: () => client.endAsync(true) };
}

export const targetsOf = (controllers: readonly TestController[]) =>
  controllers.map(({ storeId, controllerId }) => ({ store_id: storeId, controller_id: controllerId }));
