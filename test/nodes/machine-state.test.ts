import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { deadLetters } from '../../lib/store/dead-letters.js';
import { laundryStore } from '../../lib/store/laundry.js';
import { openStore } from '../../lib/store/open.js';
import accessNode from '../../nodes/access/access.js';
import brokerNode from '../../nodes/broker/broker.js';
import connectionNode from '../../nodes/connection/connection.js';
import reporterNode from '../../nodes/machine-reporter/machine-reporter.js';
import stateNode from '../../nodes/machine-state/machine-state.js';
import storeNode from '../../nodes/store/store.js';
import { errorsOf, loadFlow, startRuntime, stopRuntime } from '../support/flow.js';
import { CONTROLLER_ID, METRICS_TOPIC, SEED_MESSAGE, STORE_ID } from '../support/seed.js';
import { cleanUp, temporaryFolder, temporaryUrl } from '../support/store.js';

const outputs = ['changes', 'snapshots', 'liveness', 'refused'];
const collectors = outputs.map((id) => ({ id, type: 'helper' }));

describe('the machine state node', () => {
  let url: string;
  beforeEach(async () => {
    url = await temporaryUrl();
    await startRuntime(await temporaryFolder());
  });
  afterEach(async () => {
    await stopRuntime();
    await cleanUp();
  });

  const store = () => ({ id: 'store', type: 'fieldloom-store', url });
  const wired = (settings: object = {}) => [
    store(),
    {
      id: 'n',
      type: 'fieldloom-machine-state',
      store: 'store',
      connection: '',
      wires: outputs.map((id) => [id]),
      ...settings,
    },
    ...collectors,
  ];
  const loadWired = (settings?: object) => loadFlow([storeNode, stateNode], wired(settings));

  it('takes the document’s message from a wire and tells of it at its outputs', async () => {
    const { send, message, received } = await loadWired();
    await send('n', { topic: METRICS_TOPIC, payload: SEED_MESSAGE });
    const second = await message('changes', 2);
    const [first] = received('changes');
    const change = first?.payload as Record<string, unknown>;
    assert.deepEqual(
      { ...change, received_at: undefined },
      {
        store_id: STORE_ID,
        controller_id: CONTROLLER_ID,
        relay_id: 1,
        machine_type: 'washer',
        status: 'busy',
        previous_status: null,
        duration_s: null,
        last_updated: '2024-01-15T08:58:30.000Z',
        received_at: undefined,
      },
    );
    assert.equal((second.payload as { relay_id: number }).relay_id, 2);
    const snapshot = await message('snapshots');
    assert.equal((snapshot.payload as { machines: unknown[] }).machines.length, 2);
    assert.deepEqual(snapshot['original'], JSON.parse(SEED_MESSAGE));
    const controller = (await message('liveness')).payload as Record<string, unknown>;
    assert.equal(controller['controller_id'], CONTROLLER_ID);
    assert.equal(controller['online'], true);
    assert.equal(received('refused').length, 0);
  });

  it('is done when the row is committed', async () => {
    const { send } = await loadWired();
    await send('n', { topic: METRICS_TOPIC, payload: SEED_MESSAGE });
    const reader = await openStore(url);
    const [found] = await laundryStore(reader).machinesOf(STORE_ID);
    await reader.close();
    assert.deepEqual(
      found?.machines.map(({ relayId, status }) => [relayId, status]),
      [
        [1, 'busy'],
        [2, 'idle'],
      ],
    );
  });

  it('takes bytes, packed bytes, and the object that mqtt in makes of JSON', async () => {
    const { send, message, received } = await loadWired();
    for (const payload of [Buffer.from(SEED_MESSAGE), gzipSync(SEED_MESSAGE), JSON.parse(SEED_MESSAGE)]) {
      await send('n', { topic: METRICS_TOPIC, payload });
    }
    await message('snapshots', 3);
    assert.equal(received('changes').length, 2);
    assert.equal(received('refused').length, 0);
  });

  it('sends what it refuses out of the fourth output, as it came, and keeps it', async () => {
    const { send, message, received } = await loadWired();
    const bad = SEED_MESSAGE.replace('"idle"', '"on fire"');
    await send('n', { topic: METRICS_TOPIC, payload: bad });
    const refused = await message('refused');
    assert.equal(refused.topic, METRICS_TOPIC);
    assert.equal(String(refused.payload), bad);
    assert.deepEqual(refused['error'], {
      code: 'schema_mismatch',
      message: '/payload/machines/1/status must be one of ["idle","busy"]',
      pointer: '/payload/machines/1/status',
    });
    assert.equal(received('changes').length, 1);
    await send('n', { topic: '/somewhere/else', payload: 'hello' });
    assert.equal(((await message('refused', 2))['error'] as { code: string }).code, 'invalid_topic');
    const reader = await openStore(url);
    assert.equal(await deadLetters(reader).count('laundry'), 2);
    await reader.close();
  });

  it('tells by done, once, that a message is none', async () => {
    const { send } = await loadWired();
    for (const bad of [{ payload: SEED_MESSAGE }, { topic: METRICS_TOPIC, payload: 5 }]) {
      await assert.rejects(send('n', bad), { code: 'invalid_input' });
    }
    const errors = errorsOf('n');
    assert.equal(errors.length, 2);
  });

  it('listens with a prefix before the topic', async () => {
    const { send, message } = await loadWired({ prefix: 'lms' });
    await send('n', { topic: `lms${METRICS_TOPIC}`, payload: SEED_MESSAGE });
    await message('changes', 2);
  });

  it('tells that a controller is offline after the missed intervals that are set', async () => {
    const { send, message } = await loadWired({ interval: '0.05', missed: '2' });
    await send('n', { topic: METRICS_TOPIC, payload: SEED_MESSAGE });
    const gone = (await message('liveness', 2)).payload as Record<string, unknown>;
    assert.equal(gone['online'], false);
  });

  for (const [setting, value] of [
    ['interval', '-1'],
    ['missed', 'often'],
  ] as const) {
    it(`names the setting where ${setting} is ${value}`, async () => {
      await loadWired({ [setting]: value });
      const errors = errorsOf('n');
      assert.equal(errors.length, 1);
      assert.match(errors[0] ?? '', new RegExp(`${setting} is ${value}: accepted is a number above 0`));
    });
  }

  it('with a connection hears through the broker what a reporter on it says', async () => {
    const flow = [
      store(),
      { id: 'access', type: 'fieldloom-access', store: 'store', mode: 'open' },
      { id: 'connection', type: 'fieldloom-connection', kind: 'embedded' },
      {
        id: 'broker',
        type: 'fieldloom-broker',
        connection: 'connection',
        access: 'access',
        store: 'store',
        port: '0',
      },
      {
        id: 'n',
        type: 'fieldloom-machine-state',
        store: 'store',
        connection: 'connection',
        wires: outputs.map((id) => [id]),
      },
      {
        id: 'reporter',
        type: 'fieldloom-machine-reporter',
        connection: 'connection',
        store: 'store',
        storeId: STORE_ID,
        controllerId: CONTROLLER_ID,
        interval: '30',
      },
      ...collectors,
    ];
    const nodes = [storeNode, accessNode, connectionNode, brokerNode, stateNode, reporterNode];
    const { send, message } = await loadFlow(nodes, flow);
    await send('reporter', { payload: { relay_id: 3, status: 'busy', machine_type: 'dryer' } });
    const change = (await message('changes')).payload as Record<string, unknown>;
    assert.deepEqual([change['relay_id'], change['machine_type'], change['status']], [3, 'dryer', 'busy']);
    await send('reporter', { payload: { relay_id: 3, status: 'idle' } });
    const next = (await message('changes', 2)).payload as Record<string, unknown>;
    assert.deepEqual([next['previous_status'], next['status']], ['busy', 'idle']);
  });
});
