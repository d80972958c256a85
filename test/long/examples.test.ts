import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FlowNode } from '../../bin/compose.js';
import { eventually, Gateway } from '../support/gateway.js';
import { ModbusDevice } from '../support/modbus.js';
import { freePort } from '../support/ports.js';

interface Told {
  statuses: Record<string, { fill?: string; text?: string }>;
  errors: { id: string; message: string }[];
  /** What came to the debug nodes, by their names. */
  messages: Record<string, unknown[]>;
}

/** The complete system is no example of one node: it is what `npm start` runs, and has the dashboard beside it. */
const EXAMPLES = readdirSync('examples').filter(
  (name) => name.endsWith('.json') && name !== 'complete-system.json',
);

/** What an example cannot have here, by the type of its node: another broker. */
const NOT_HERE: Record<string, readonly string[]> = { 'connection.json': ['fieldloom-machine-state'] };
/** Presses that want something to be filled in, or done by another press, first. */
const LATER: Record<string, readonly string[]> = {
  'firmware-rollout.json': ['new rollout'],
  'firmware.json': ['roll out'],
  'history.json': ['minutes of the last hour'],
  'solar.json': ['the last hour'],
  'roast.json': [
    ...['2. connect it', '3. start monitoring', '4. start recording', '5. charge: open the hopper'],
    ...['6. drop: open the door', '7. stop recording'],
  ],
  // Its machine is made by hand.
  'roaster-modbus.json': [
    ...[
      'start monitoring',
      'start recording',
      'stop recording',
      'reset',
      'burner to 60 %',
      'airflow to 30 %',
    ],
  ],
  'roast-session.json': [
    'start monitoring',
    'start recording',
    'stop recording',
    'reset',
    'charge: open the hopper',
  ],
};

/** A roaster reads from the first second on, and its machine is made by hand. */
const TOLD_AT_FIRST = /the store is not open yet|there is no machine/;
/** They say how many follow or ask, once somebody does. */
const WITHOUT_STATUS = ['fieldloom-live-feed', 'fieldloom-roaster-simulator'];

/** Listens to all nodes of a tab and tells what they said at `/told/<number>`. */
function ears(tab: string, debug: readonly FlowNode[], number: number): FlowNode[] {
  const on = { z: tab };
  const code = (id: string, func: string, target: string[]) => ({
    ...{ id, type: 'function', ...on, func, outputs: 1, timeout: 0, noerr: 0, initialize: '', finalize: '' },
    ...{ libs: [], wires: [target] },
  });
  const told = `const told = global.get('told${number}') || { statuses: {}, errors: [], messages: {} }; global.set('told${number}', told);`;
  return [
    { id: 'ear-status', type: 'status', ...on, scope: null, wires: [['ear-keep-status']] },
    code('ear-keep-status', `${told} told.statuses[msg.status.source.id] = msg.status;`, []),
    { id: 'ear-catch', type: 'catch', ...on, scope: null, uncaught: false, wires: [['ear-keep-error']] },
    code(
      'ear-keep-error',
      `${told} told.errors.push({ id: msg.error.source.id, message: msg.error.message });`,
      [],
    ),
    ...debug.map(({ id, name }) =>
      code(id, `${told} (told.messages[${JSON.stringify(name)}] ??= []).push(msg.payload ?? null);`, []),
    ),
    { id: 'ear-ask', type: 'http in', ...on, url: `/told/${number}`, method: 'get', wires: [['ear-tell']] },
    code('ear-tell', `${told} msg.payload = told; return msg;`, ['ear-answer']),
    { id: 'ear-answer', type: 'http response', ...on, statusCode: '200', wires: [] },
  ];
}

describe('the examples', function () {
  this.timeout(120_000);
  let gateway: Gateway;
  let port: number;
  let deploys = 0;
  const roaster = new ModbusDevice();

  const told = () => gateway.get<Told>(`/told/${deploys}`);
  const press = async (id: string) => {
    const answer = await fetch(`${gateway.url}/inject/${id}`, { method: 'POST' });
    assert.ok(answer.ok, `${id}: ${answer.status}`);
  };
  const pressNamed = (nodes: readonly FlowNode[], name: string) => {
    const node = nodes.find((each) => each.type === 'inject' && each['name'] === name);
    assert.ok(node, `there is a press ${name}`);
    return press(node.id);
  };

  /** The example as a person deploys it, but for its ports. */
  async function deploy(file: string, change: (text: string) => string = ownStore): Promise<FlowNode[]> {
    deploys += 1;
    const text = readFileSync(join('examples', file), 'utf8')
      .replaceAll('"1883"', `"${port}"`)
      .replaceAll('http://127.0.0.1:1880', gateway.url)
      .replace('"192.168.1.50"', '"127.0.0.1"')
      .replace('"502"', `"${roaster.port}"`);
    const nodes = JSON.parse(change(text)) as FlowNode[];
    const tab = nodes.find(({ type }) => type === 'tab') as FlowNode;
    const debug = nodes.filter(({ type }) => type === 'debug');
    const flow = [...nodes.filter(({ type }) => type !== 'debug'), ...ears(tab.id, debug, deploys)];
    const answer = await fetch(`${gateway.url}/flows`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(flow),
    });
    assert.equal(answer.status, 204, await answer.text());
    const working = ours(nodes).filter(
      ({ type }) => !NOT_HERE[file]?.includes(type) && !WITHOUT_STATUS.includes(type),
    );
    await eventually(async () => {
      const { statuses } = await told();
      const others = working.filter(({ id }) => !/green|grey/.test(statuses[id]?.fill ?? ''));
      if (others.length === 0) return true;
      throw new Error(others.map(({ type, id }) => `${type}: ${statuses[id]?.text}`).join());
    }, `${file} at work`);
    return nodes;
  }

  function ownStore(text: string): string {
    return text.replace('"url": ""', `"url": "sqlite:${gateway.directory}/example-${deploys}.db"`);
  }
  const ours = (nodes: readonly FlowNode[]) =>
    nodes.filter(({ type, z }) => type.startsWith('fieldloom-') && z !== undefined);

  before(async () => {
    port = await freePort();
    roaster.inputs.set(0, 1853).set(1, 2105);
    roaster.holding.set(10, 60);
    await roaster.start();
    gateway = await Gateway.create();
    await gateway.start();
    await gateway.command('user', 'add', 'root', '--admin', '--password-stdin', { input: 'a long password' });
  });
  after(async () => {
    await gateway.remove();
    await roaster.stop();
  });

  it('use no nodes but ours and those that every Node-RED has', () => {
    const core =
      /^(tab|group|comment|inject|debug|function|change|switch|delay|link in|link out|http request|catch|status)$/;
    for (const file of EXAMPLES) {
      for (const { type } of JSON.parse(readFileSync(join('examples', file), 'utf8')) as FlowNode[]) {
        assert.ok(type.startsWith('fieldloom-') || core.test(type), `${file}: ${type}`);
      }
    }
  });

  it('are one for each node and one for each protocol', async () => {
    const { 'node-red': manifest } = JSON.parse(readFileSync('package.json', 'utf8'));
    const used = EXAMPLES.flatMap(
      (file) => JSON.parse(readFileSync(join('examples', file), 'utf8')) as FlowNode[],
    );
    for (const type of Object.keys(manifest.nodes))
      assert.ok(
        used.some((node) => node.type === type),
        type,
      );
    for (const name of ['laundry', 'ponds', 'firmware', 'solar', 'roast']) {
      assert.ok(EXAMPLES.includes(`${name}.json`), name);
    }
  });

  for (const file of EXAMPLES) {
    it(`${file} runs, and does what its presses say without an error`, async () => {
      const nodes = await deploy(file);
      for (const { type, id, ...node } of nodes) {
        if (type === 'inject' && !LATER[file]?.includes(String(node['name']))) await press(id);
      }
      // A node takes its messages one after another: what was pressed is through when it is quiet again.
      await eventually(async () => {
        const before = JSON.stringify(await told());
        return before === JSON.stringify(await told()) ? true : undefined;
      }, 'quiet');
      const { errors, statuses } = await told();
      const reads = nodes.some(({ type }) => /^fieldloom-roaster-/.test(type));
      assert.deepEqual(
        errors.filter(({ message }) => !reads || !TOLD_AT_FIRST.test(message)),
        [],
      );
      const failed = ours(nodes).filter(
        ({ id, type }) => !NOT_HERE[file]?.includes(type) && statuses[id]?.fill === 'red',
      );
      assert.deepEqual(failed, []);
    });
  }

  const came = (name: string, wanted: (message: never) => boolean = () => true) =>
    eventually(
      async () => (((await told()).messages[name] ?? []) as never[]).find(wanted),
      `a message of ${name}`,
    );

  it('laundry.json: what the controller reports comes over the broker to the gateway', async () => {
    const nodes = await deploy('laundry.json');
    await pressNamed(nodes, 'washer 1 busy');
    await came(
      'changes',
      (change: { status: string; machine_type: string }) =>
        change.status === 'busy' && change.machine_type === 'washer',
    );
    await pressNamed(nodes, 'washer 1 idle');
    await came('changes', ({ status }: { status: string }) => status === 'idle');
  });

  it('ponds.json: the device gets the command over the broker, and its answer completes it', async () => {
    const nodes = await deploy('ponds.json');
    await pressNamed(nodes, 'feed 100 g');
    await came('completed');
    await pressNamed(nodes, 'a measurement');
    await came('readings');
  });

  it('firmware.json: the controller downloads the image, installs it, and the rollout is completed', async () => {
    const { token } = (await gateway.command('user', 'token', 'root')) as { token: string };
    // Its image wants the login that is in the gateway's database.
    await deploy('firmware.json', (text) => text);
    const answer = await eventually(async () => {
      const posted = await fetch(`${gateway.url}/firmware/images?version=1.0.1`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' },
        body: 'an image',
      });
      return posted.status === 201 ? ((await posted.json()) as { id: string }) : undefined;
    }, 'an uploaded image');
    const nodes = await deploy('firmware.json', (text) => text.replace('IMAGE_ID', answer.id));
    await pressNamed(nodes, 'roll out');
    await came('progress', ({ state }: { state: string }) => state === 'completed');
    await came('rollouts', ({ state }: { state: string }) => state === 'COMPLETED');
  });

  it('solar.json: telemetry is kept, and asked for again; a command is sent', async () => {
    const nodes = await deploy('solar.json');
    await pressNamed(nodes, 'telemetry');
    await came('telemetry');
    await pressNamed(nodes, 'cleaning');
    await came('status');
    await pressNamed(nodes, 'the last hour');
    await came('points');
    await pressNamed(nodes, 'start cleaning');
    await came('sent');
  });

  it('solar-machine.json: what the machine measures is kept; it takes a command, and its status tells', async () => {
    const nodes = await deploy('solar-machine.json');
    await came('status', ({ status }: { status: string }) => status === 'online');
    await pressNamed(nodes, 'measured');
    await came('telemetry', ({ battery }: { battery: number }) => battery === 13.5);
    await pressNamed(nodes, 'start cleaning');
    await came('commands');
    await came('status', ({ status }: { status: string }) => status === 'Running');
  });

  it('roast.json: the simulated roaster is read and recorded', async () => {
    const nodes = await deploy('roast.json');
    await pressNamed(nodes, '1. make the machine');
    await came('answer');
    await pressNamed(nodes, '2. connect it');
    await came('answer', (machine: { driver_state?: string }) => machine.driver_state === 'connected');
    await pressNamed(nodes, '3. start monitoring');
    await came('readings');
    await pressNamed(nodes, '4. start recording');
    await came('what happens', ({ state }: { state?: string }) => state === 'recording');
  });
});
