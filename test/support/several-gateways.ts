import { connectAsync, type MqttClient } from 'mqtt';
import { Access } from '../../lib/access/access.js';
import { openStore } from '../../lib/store/open.js';
import { ponds } from '../../lib/store/pond.js';
import { newDatabase } from './database.js';
import { Gateway } from './gateway.js';
import { startMosquitto } from './mosquitto.js';
import { startRabbitMq } from './rabbitmq.js';

const PASSWORD = 'a long password';

interface Broker {
  url: string;
  stop(): Promise<void>;
}

/** Two gateways on one broker and one database server. */
export interface Pair {
  a: Gateway;
  b: Gateway;
  mqttUrl: string;
  databaseUrl: string;
  /** A token of the admin `root`, made by one of them. */
  tokenOf(gateway: Gateway): Promise<string>;
  /** Ponds of `root`, one a device. @returns their ids */
  addPonds(devices: readonly string[]): Promise<number[]>;
  remove(): Promise<void>;
}

/** @param server `mysql://…` or `postgres://…` */
export async function startPair(server: string): Promise<Pair> {
  const mosquitto = await startMosquitto();
  if (mosquitto === undefined) throw new Error('Mosquitto is not installed');
  return pairOn(mosquitto, server);
}

/** On a RabbitMQ, which cannot share out: one of the two stands by. */
export async function startStandingBy(server: string): Promise<Pair> {
  return pairOn(await startRabbitMq(), server, 'none');
}

async function pairOn(broker: Broker, server: string, share = ''): Promise<Pair> {
  const database = await newDatabase(server);
  const common = { MQTT_URL: broker.url, DATABASE_URL: database.url, MQTT_SHARE: share };
  const [a, b] = await Promise.all(['a', 'b'].map((name) => Gateway.create({ ...common, GATEWAY_ID: name })));
  if (a === undefined || b === undefined) throw new Error('two gateways are wanted');
  const store = await openStore(database.url);
  const access = await Access.open(store);
  const { userId } = await access.addUser('root', PASSWORD, { admin: true });
  // A login costs half a second: commands would wait for each other.
  const tokens = new Map<Gateway, string>();
  await a.start();
  await b.start(share === 'none' ? 503 : 200);
  return {
    ...{ a, b, mqttUrl: broker.url, databaseUrl: database.url },
    async tokenOf(gateway) {
      const known = tokens.get(gateway);
      if (known !== undefined) return known;
      const answer = await fetch(`${gateway.url}/api/token/`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ username: 'root', password: PASSWORD }),
      });
      const { access: token } = (await answer.json()) as { access: string };
      if (token !== undefined) tokens.set(gateway, token);
      return token;
    },
    async addPonds(devices) {
      const ids: number[] = [];
      for (const device of devices) {
        const pond = {
          name: device,
          ownerId: userId,
          device,
          position: 1,
          feedLimitG: 10_000,
          thresholds: {},
        };
        ids.push((await ponds(store).add(pond)).pondId);
      }
      return ids;
    },
    async remove() {
      await Promise.all([a.remove(), b.remove()]);
      access.close();
      await store.close();
      await broker.stop();
      await database.drop();
    },
  };
}

/** One of our figures, summed over its labels. */
export async function figureOf(gateway: Gateway, name: string): Promise<number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** Pond devices that act once for each command_id, and answer each message that brings one. */
export interface PondDevices {
  /** How often each command_id has come. */
  readonly seen: ReadonlyMap<string, number>;
  /** From now on they answer; what came before is not answered. */
  answering: boolean;
  client: MqttClient;
}

export async function pondDevices(url: string): Promise<PondDevices> {
  const client = await connectAsync(url, { clientId: 'pond-devices', clean: false });
  const seen = new Map<string, number>();
  const devices: PondDevices = { seen, answering: true, client };
  client.on('message', (topic, payload) => {
    const { command_id } = JSON.parse(payload.toString()) as { command_id: string };
    seen.set(command_id, (seen.get(command_id) ?? 0) + 1);
    if (!devices.answering) return;
    const answer = { command_id, success: true, message: 'done', timestamp: new Date().toISOString() };
    client.publish(topic.replace(/commands$/, 'ack'), JSON.stringify(answer), { qos: 2 });
  });
  await client.subscribeAsync('devices/+/commands', { qos: 2 });
  return devices;
}

/** Controllers that acknowledge each update and complete it. */
export interface Controllers {
  /** deployment_id of every update_firmware of a controller, in the order of coming. */
  readonly updates: ReadonlyMap<string, string[]>;
  client: MqttClient;
}

export async function controllers(url: string): Promise<Controllers> {
  const client = await connectAsync(url, { clientId: 'controllers', clean: false });
  const updates = new Map<string, string[]>();
  const isDone = new Set<string>();
  client.on('message', (topic, payload) => {
    const message = JSON.parse(payload.toString()) as {
      event_type: string;
      controller_id: string;
      payload: { deployment_id: string };
    };
    if (message.event_type !== 'update_firmware') return;
    const { deployment_id } = message.payload;
    updates.set(message.controller_id, [...(updates.get(message.controller_id) ?? []), deployment_id]);
    const say = (event_type: string, to: string) => {
      const answer = {
        ...{ ...message, event_type, timestamp: new Date().toISOString() },
        payload: { deployment_id },
      };
      return client.publishAsync(topic.replace(/action$/, to), JSON.stringify(answer), { qos: 1 });
    };
    void say('update_firmware_ack', 'ack').then(() => {
      if (isDone.has(deployment_id)) return undefined;
      isDone.add(deployment_id);
      return say('update_firmware_completed', 'action');
    });
  });
  await client.subscribeAsync('/stores/+/controllers/+/action', { qos: 1 });
  return { updates, client };
}
