import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { composeFlows, type FlowNode } from '../../bin/compose.js';
import type { Gateway } from './gateway.js';

const FLOWS = join(__dirname, '../../../flows');
/** What the flows of the gateway stand on. */
const FOUNDATION = ['fieldloom-store', 'fieldloom-access', 'fieldloom-connection', 'fieldloom-broker'];
const DEVICE = 'AA:BB:CC:DD:EE:FF';

/** A gateway's own broker, store and logins, with the nodes of the pond API and nothing else. */
export async function pondFlow(): Promise<FlowNode[]> {
  const foundation = (await composeFlows(FLOWS))
    .filter(({ type }) => FOUNDATION.includes(type))
    .map(({ credentials: _, g: _group, ...node }) => ({ ...node, ...(node['z'] ? { z: 'test-tab' } : {}) }))
    .map((node) => ('wires' in node ? { ...node, wires: [[], []] } : node) as FlowNode);
  const on = { z: 'test-tab', store: 'gateway-store' };
  const connected = { ...on, connection: 'gateway-connection' };
  return [
    { id: 'test-tab', type: 'tab', label: 'test' },
    ...foundation,
    // Named before the nodes it names: they are made after it.
    {
      ...{ id: 'test-api', type: 'fieldloom-command-api', ...on, commands: 'test-commands' },
      ...{ devices: 'test-devices', wires: [[], []] },
    },
    {
      id: 'test-commands',
      type: 'fieldloom-device-command',
      ...connected,
      profile: 'pond',
      wires: [[], [], []],
    },
    { id: 'test-devices', type: 'fieldloom-device-events', ...connected, wires: [[], [], [], [], []] },
  ];
}

/** Puts the flow into the gateway's directory; to be done before its first start. */
export async function installPondFlow(gateway: Gateway, change = (flow: FlowNode[]) => flow): Promise<void> {
  await writeFile(join(gateway.directory, 'flows.json'), JSON.stringify(change(await pondFlow())));
}

/** Deploys a changed flow to a running gateway, as the editor does. */
export async function deploy(gateway: Gateway, change: (flow: FlowNode[]) => FlowNode[]): Promise<void> {
  const headers = { 'content-type': 'application/json', 'Node-RED-API-Version': 'v2' };
  const { flows, rev } = (await (await fetch(`${gateway.url}/flows`, { headers })).json()) as {
    flows: FlowNode[];
    rev: string;
  };
  const answer = await fetch(`${gateway.url}/flows`, {
    method: 'POST',
    headers: { ...headers, 'Node-RED-Deployment-Type': 'nodes' },
    body: JSON.stringify({ flows: change(flows), rev }),
  });
  if (!answer.ok) throw new Error(`deploy: ${answer.status} ${await answer.text()}`);
}

/** A user of the gateway, with a token. */
export async function addUser(gateway: Gateway, name: string, ...words: string[]): Promise<string> {
  await gateway.command('user', 'add', name, '--password-stdin', ...words, { input: 'a long password' });
  return ((await gateway.command('user', 'token', name)) as { token: string }).token;
}

export async function addPond(
  gateway: Gateway,
  owner: string,
  position = 1,
  name = 'Test Pond',
): Promise<number> {
  const made = await gateway.command(
    ...['pond', 'add', '--owner', owner, '--device', DEVICE, '--position', String(position), '--name', name],
  );
  return (made as { pond_id: number }).pond_id;
}

export interface DeviceCommand {
  command_id: string;
  command_type: string;
  pond_position: number;
  parameters: Record<string, unknown>;
  timestamp: string;
}

/** A pond's device: an MQTT client with its own login that answers, or not, as the test says. */
export class PondDevice {
  readonly commands: { topic: string; qos: number; retain: boolean; message: DeviceCommand }[] = [];
  /** What it answers; undefined: nothing. */
  answer: ((command: DeviceCommand) => object | undefined) | undefined;
  readonly #waiting: (() => void)[] = [];

  private constructor(readonly client: MqttClient) {}

  static async connect(gateway: Gateway): Promise<PondDevice> {
    const login = (await gateway.command(
      'access',
      'add',
      '--role',
      'device',
      '--device',
      DEVICE,
    )) as IClientOptions;
    const client = await connectAsync(gateway.mqttUrl, { ...login, reconnectPeriod: 200 });
    const device = new PondDevice(client);
    client.on('message', (topic, payload, { qos, retain }) => {
      const message = JSON.parse(payload.toString()) as DeviceCommand;
      device.commands.push({ topic, qos, retain, message });
      for (const wake of device.#waiting.splice(0)) wake();
      const answer = device.answer?.(message);
      if (answer !== undefined) device.acknowledge(answer);
    });
    await client.subscribeAsync(`devices/${DEVICE}/commands`, { qos: 2 });
    return device;
  }

  acknowledge(answer: object): void {
    this.client.publish(`devices/${DEVICE}/ack`, JSON.stringify(answer), { qos: 1 });
  }

  publish(channel: string, message: object): Promise<unknown> {
    return this.client.publishAsync(`devices/${DEVICE}/${channel}`, JSON.stringify(message), { qos: 1 });
  }

  /** The n-th command it has got, from 0. */
  async command(index: number): Promise<DeviceCommand> {
    while (this.commands.length <= index) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.commands[index]?.message as DeviceCommand;
  }

  /** Says of each command that it was done. */
  static done({ command_id }: DeviceCommand): object {
    return {
      command_id,
      success: true,
      message: 'Feed command executed successfully',
      timestamp: new Date().toISOString(),
    };
  }

  async end(): Promise<void> {
    await this.client.endAsync(true);
  }
}
