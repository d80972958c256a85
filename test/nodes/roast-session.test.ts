import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import helper from 'node-red-node-test-helper';
import { openStore } from '../../lib/store/open.js';
import { roastStore } from '../../lib/store/roast.js';
import roastSession from '../../nodes/roast-session/roast-session.js';
import roasterSimulator from '../../nodes/roaster-simulator/roaster-simulator.js';
import storeNode from '../../nodes/store/store.js';
import { type LoadedFlow, loadFlow, startRuntime, stopRuntime, unloadFlow } from '../support/flow.js';

const RED_NODES = [storeNode, roastSession, roasterSimulator];

describe('the nodes roast-session and roaster-simulator', function () {
  this.timeout(30_000);
  let directory: string;
  let flow: LoadedFlow;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fieldloom-roast-'));
    await startRuntime(directory);
  });
  after(async () => {
    await stopRuntime();
    await rm(directory, { recursive: true, force: true });
  });
  afterEach(() => unloadFlow());

  /** A machine `m1` on wires, connected. */
  beforeEach(async () => {
    const url = `sqlite:${join(directory, `${Math.random()}.db`)}`;
    const store = await openStore(url);
    const roasts = roastStore(store);
    await roasts.addMachine({
      id: 'm1',
      name: 'Drum',
      companyId: null,
      driver: 'flow',
      samplingMs: 1000,
      config: { unit: 'F' },
    });
    await roasts.setConnected('m1', true);
    await store.close();
    flow = await loadFlow(RED_NODES, [
      { id: 's', type: 'fieldloom-store', url } as never,
      {
        id: 'roast',
        type: 'fieldloom-roast-session',
        store: 's',
        wires: [['readings'], ['events'], ['alarms'], ['controls'], ['errors']],
      } as never,
      {
        id: 'sim',
        type: 'fieldloom-roaster-simulator',
        machine: 'm1',
        interval: '0.05',
        noise: '0',
        wires: [['beans']],
      } as never,
      ...['readings', 'events', 'alarms', 'controls', 'errors', 'beans'].map((id) => ({
        id,
        type: 'helper',
      })),
    ]);
    await flow.message('errors', 2);
  });

  const message = async (id: string, count = 1) =>
    (await flow.message(id, count)) as unknown as {
      machine_id: string;
      channel?: string;
      payload: Record<string, unknown>;
    };

  it('says when it is connected', async () => {
    assert.deepEqual((await message('errors', 2)).payload, {
      ...{ type: 'connection', driver_state: 'connected', driver_name: 'Flow', message: '' },
    });
  });

  it('takes commands, readings in the unit of the machine, and events of a sensor', async () => {
    await flow.send('roast', { machine_id: 'm1', command: 'start_monitoring' });
    assert.equal((await message('events')).payload['state'], 'monitoring');
    await flow.send('roast', { payload: { bt: 392, et: -1, drum: 7 } });
    const { machine_id, payload } = await message('readings');
    assert.deepEqual(
      [machine_id, payload['bt'], payload['et'], payload['extra_channels']],
      ['m1', 200, null, { drum: 7 }],
    );
    await flow.send('roast', { command: 'start_recording' });
    await flow.send('roast', { event: 'FCs' });
    const event = (await message('events', 3)).payload;
    assert.deepEqual([event['event_type'], event['auto_detected']], ['FCs', true]);
  });

  it('sends the controls of a machine on wires by its fourth output', async () => {
    await flow.send('roast', { control: { channel: 'burner', value: 0.4 } });
    const { machine_id, channel, payload } = await message('controls');
    assert.deepEqual([machine_id, channel, payload], ['m1', 'burner', 0.4]);
    assert.equal((await message('events')).payload['applied'], true);
  });

  it('says of bad input what is accepted', async () => {
    const refused = (input: object) =>
      flow.send('roast', input).then(
        () => 'taken',
        (error: Error) => error.message,
      );
    assert.match(await refused({ command: 'explode' }), /accepted is start_monitoring/);
    assert.match(await refused({ command: 'stop_recording' }), /while idle/);
    assert.match(await refused({ event: 'POP' }), /accepted is CHARGE/);
    assert.match(await refused({ control: { channel: 'burner', value: 2 } }), /accepted is 0 to 1/);
    assert.match(await refused({ payload: 12 }), /an object with bt, et or both/);
    assert.match(await refused({ machine_id: 'none', payload: { bt: 1 } }), /there is no machine "none"/);
  });

  it('a simulated roaster gives temperatures, takes controls and refuses others', async () => {
    const { machine_id, payload } = await message('beans', 2);
    assert.equal(machine_id, 'm1');
    assert.ok((payload['bt'] as number) > 195);
    await flow.send('sim', { channel: 'burner', payload: 0.9 });
    await assert.rejects(
      flow.send('sim', { channel: 'steam', payload: 0.9 }),
      /accepted is burner, airflow, charge, drop/,
    );
    await assert.rejects(flow.send('sim', { channel: 'burner', payload: 90 }), /accepted is 0 to 1/);
    assert.ok(helper.getNode('sim'));
  });
});
