import assert from 'node:assert/strict';
import { openStore } from '../../lib/store/open.js';
import { reportQueue } from '../../lib/store/reports.js';
import connectionNode from '../../nodes/connection/connection.js';
import reporterNode from '../../nodes/machine-reporter/machine-reporter.js';
import storeNode from '../../nodes/store/store.js';
import {
  errorsOf,
  type LoadedFlow,
  loadFlow,
  startRuntime,
  stopRuntime,
  unloadFlow,
} from '../support/flow.js';
import { CONTROLLER_ID, METRICS_TOPIC, STORE_ID } from '../support/seed.js';
import { cleanUp, temporaryFolder, temporaryUrl } from '../support/store.js';

describe('the machine reporter node', () => {
  let url: string;
  beforeEach(async () => {
    url = await temporaryUrl();
    await startRuntime(await temporaryFolder());
  });
  afterEach(async () => {
    await stopRuntime();
    await cleanUp();
  });

  const reporter = (settings: object = {}) => ({
    id: 'n',
    type: 'fieldloom-machine-reporter',
    storeId: STORE_ID,
    controllerId: CONTROLLER_ID,
    wires: [['out']],
    ...settings,
  });
  const load = (settings?: object) =>
    loadFlow(
      [storeNode, connectionNode, reporterNode],
      [
        { id: 'store', type: 'fieldloom-store', url } as never,
        { id: 'away', type: 'fieldloom-connection', kind: 'embedded' } as never,
        reporter(settings),
        { id: 'out', type: 'helper' },
      ],
    );
  /** The first message that is more than the word that the controller is there. */
  async function withMachines({ message }: LoadedFlow) {
    for (let count = 1; ; count += 1) {
      const next = await message('out', count);
      if (machinesIn(next.payload).length > 0) return next;
    }
  }
  const machinesIn = (payload: unknown) => JSON.parse(String(payload)).payload.machines;

  it('without a connection sends messages that are ready for mqtt out', async () => {
    const flow = await load();
    await flow.send('n', { payload: { relay_id: 1, status: 'busy', machine_type: 'washer' } });
    const sent = await withMachines(flow);
    assert.deepEqual([sent.topic, sent['qos']], [METRICS_TOPIC, 1]);
    const [machine] = machinesIn(sent.payload);
    assert.deepEqual(
      { ...machine, last_updated: undefined },
      {
        machine_type: 'washer',
        relay_id: 1,
        status: 'busy',
        last_updated: undefined,
      },
    );
  });

  it('takes a list, and sends all the changes of it together', async () => {
    const flow = await load();
    await flow.send('n', {
      payload: [
        { relay_id: 1, status: 'busy' },
        { relay_id: 2, status: 'idle' },
      ],
    });
    assert.equal(machinesIn((await withMachines(flow)).payload).length, 2);
  });

  it('takes the firmware that runs, alone or beside a state', async () => {
    const flow = await load();
    await flow.send('n', { firmware_version: '1.1.0', payload: { relay_id: 1, status: 'busy' } });
    const { payload } = JSON.parse(String((await withMachines(flow)).payload));
    assert.equal(payload.firmware_version, '1.1.0');
    const before = flow.received('out').length;
    await flow.send('n', { firmware_version: '1.2.0' });
    const next = await flow.message('out', before + 1);
    assert.equal(JSON.parse(String(next.payload)).payload.firmware_version, '1.2.0');
    for (const wrong of ['', 7, 'x'.repeat(65)]) {
      await assert.rejects(flow.send('n', { firmware_version: wrong }), {
        code: 'invalid_input',
        message: /^msg.firmware_version is /,
      });
    }
  });

  it('tells by done, once, what is wrong with a state', async () => {
    const { send } = await load();
    await assert.rejects(send('n', { payload: { relay_id: 1, status: 'on' } }), {
      code: 'invalid_input',
      message: /\/status must be one of \["idle","busy"\]/,
    });
    assert.equal(errorsOf('n').length, 1);
  });

  it('keeps changes on disk while its connection is away, over a restart of the flows', async () => {
    const settings = { connection: 'away', store: 'store' };
    const { send } = await load(settings);
    await send('n', { payload: { relay_id: 1, status: 'busy' } });
    await send('n', { payload: { relay_id: 1, status: 'idle' } });
    await unloadFlow();
    const reader = await openStore(url);
    const kept = await reportQueue(reader, `${STORE_ID}/${CONTROLLER_ID}`).all();
    await reader.close();
    assert.deepEqual(
      kept.map(({ relayId, status }) => [relayId, status]),
      [
        [1, 'busy'],
        [1, 'idle'],
      ],
    );
    const { message } = await load({ store: 'store' });
    assert.deepEqual(
      machinesIn((await message('out')).payload).map(({ status }: { status: string }) => status),
      ['busy', 'idle'],
    );
  });

  for (const [name, settings, expected] of [
    ['the store id is none', { storeId: 'shop' }, /store id is "shop": accepted is a UUID/],
    ['the controller id is missing', { controllerId: '' }, /controller id is "": accepted is a UUID/],
    ['a connection has no store for the queue', { connection: 'away' }, /store/],
  ] as const) {
    it(`says at its start that ${name}`, async () => {
      await load(settings);
      assert.equal(errorsOf('n').length, 1);
      assert.match(errorsOf('n')[0] ?? '', expected);
    });
  }

  it('knows no way to leave a broker without a connection', async () => {
    const { send } = await load();
    await assert.rejects(send('n', { payload: { action: 'disconnect' } }), { code: 'invalid_input' });
  });
});
