import assert from 'node:assert/strict';
import { openStore } from '../../lib/store/open.js';
import { responderStore } from '../../lib/store/responder.js';
import connectionNode from '../../nodes/connection/connection.js';
import responderNode from '../../nodes/device-responder/device-responder.js';
import storeNode from '../../nodes/store/store.js';
import {
  errorsOf,
  type LoadedFlow,
  loadFlow,
  startRuntime,
  stopRuntime,
  unloadFlow,
} from '../support/flow.js';
import { DEVICE, seedCommand, TOPICS } from '../support/responder.js';
import { cleanUp, temporaryFolder, temporaryUrl } from '../support/store.js';

const outputs = ['commands', 'ignored', 'publish'];

describe('the device responder node', () => {
  let url: string;
  beforeEach(async () => {
    url = await temporaryUrl();
    await startRuntime(await temporaryFolder());
  });
  afterEach(async () => {
    await stopRuntime();
    await cleanUp();
  });

  const load = (settings: object = {}): Promise<LoadedFlow> =>
    loadFlow(
      [storeNode, connectionNode, responderNode],
      [
        { id: 'store', type: 'fieldloom-store', url } as never,
        { id: 'away', type: 'fieldloom-connection', kind: 'embedded' } as never,
        {
          id: 'n',
          type: 'fieldloom-device-responder',
          store: 'store',
          deviceId: DEVICE,
          wires: outputs.map((id) => [id]),
          ...settings,
        } as never,
        ...outputs.map((id) => ({ id, type: 'helper' })),
      ],
    );
  const command = (id: string, changes?: Record<string, unknown>) => ({
    topic: TOPICS.commands,
    payload: JSON.stringify(seedCommand(id, changes)),
  });
  const ackIn = ({ payload }: { payload?: unknown }) =>
    JSON.parse(String(payload)) as Record<string, unknown>;

  it('hands a command to the flow and sends its answer, ready for mqtt out', async () => {
    const { send, message } = await load();
    await send('n', command('a'));
    const told = await message('commands');
    assert.deepEqual(told.payload, seedCommand('a').parameters);
    assert.deepEqual(told['command'], {
      command_id: 'a',
      command_type: 'FEED',
      pond_position: 1,
      timestamp: '2025-08-30T01:00:00.000Z',
      expires_at: null,
    });
    await send('n', { ...told, payload: { success: true, message: 'fed' } });
    const published = await message('publish');
    assert.deepEqual([published.topic, published['qos'], published['retain']], [TOPICS.ack, 2, false]);
    const { command_id, success, message: text } = ackIn(published);
    assert.deepEqual([command_id, success, text], ['a', true, 'fed']);
  });

  for (const [what, answer, success, text] of [
    ['true', { payload: true }, true, 'FEED command executed successfully'],
    ['false', { payload: false }, false, 'FEED command failed'],
    ['msg.success beside a payload of its own', { success: true, payload: 'done' }, true, 'done'],
    ['an object', { payload: { success: false, message: 'hopper empty' } }, false, 'hopper empty'],
    ['the error that a Catch node adds', { payload: true, error: { message: 'jam' } }, false, 'jam'],
  ] as const) {
    it(`takes ${what} for an answer`, async () => {
      const { send, message } = await load();
      await send('n', command('a'));
      const told = await message('commands');
      await send('n', { ...told, ...answer });
      const ack = ackIn(await message('publish'));
      assert.deepEqual([ack['success'], ack['message']], [success, text]);
    });
  }

  it('takes no message without an outcome for an answer, and still waits for one', async () => {
    const { send, message, received } = await load();
    await send('n', command('a'));
    const told = await message('commands');
    await assert.rejects(send('n', { ...told }), { code: 'invalid_input', message: /says no outcome/ });
    await assert.rejects(send('n', { command: {}, payload: true }), { code: 'invalid_input' });
    assert.equal(received('publish').length, 0);
    await send('n', { ...told, payload: true });
    await message('publish');
  });

  it('reports an answer that comes twice, and answers nothing to its own report', async () => {
    const { send, message, received } = await load();
    await send('n', command('a'));
    const told = await message('commands');
    await send('n', { ...told, payload: true });
    await assert.rejects(send('n', { ...told, payload: false }), { code: 'conflict' });
    await send('n', { ...told, error: { message: 'answered already', source: { id: 'n' } } });
    assert.equal(received('publish').length, 1);
    assert.equal(errorsOf('n').length, 1);
  });

  it('sends a repetition out of its second output, and answers it, after a restart of the flows too', async () => {
    const first = await load();
    await first.send('n', command('a'));
    await first.send('n', { ...(await first.message('commands')), payload: true });
    const answer = ackIn(await first.message('publish'));
    await unloadFlow();
    const second = await load();
    await second.send('n', command('a'));
    const ignored = await second.message('ignored');
    assert.deepEqual(ignored['ignored'], {
      reason: 'repeated',
      message: 'seen before: its answer is sent again',
      code: undefined,
      command_id: 'a',
    });
    assert.deepEqual(ackIn(await second.message('publish')), answer);
    assert.equal(second.received('commands').length, 0);
  });

  it('answers at its next start what the flow was told and had not answered', async () => {
    const first = await load();
    await first.send('n', command('a'));
    await first.message('commands');
    await unloadFlow();
    const second = await load();
    const ack = ackIn(await second.message('publish'));
    assert.deepEqual([ack['success'], ack['message']], [false, 'outcome unknown']);
  });

  it('checks commands as it is set, and ignores what mqtt in says is retained', async () => {
    const { send, message, received } = await load({
      types: 'FEED, WATER_VALVE',
      schemas: '{"FEED": {"type": "object", "properties": {"amount": {"type": "number", "minimum": 1}}}}',
      maxAge: '',
    });
    await send('n', command('a', { command_type: 'DANCE' }));
    await send('n', command('b', { parameters: { amount: 0 } }));
    await send('n', { ...command('c'), retain: true });
    await send('n', { topic: TOPICS.commands, payload: '{' });
    await message('ignored', 4);
    assert.deepEqual(
      received('ignored').map(({ ignored }) => (ignored as { reason: string }).reason),
      ['refused', 'refused', 'retained', 'unreadable'],
    );
    const acks = received('publish').map(ackIn);
    assert.deepEqual(
      acks.map(({ message: text }) => text),
      ['/command_type is "DANCE"; accepted is FEED, WATER_VALVE', '/parameters/amount must be >= 1'],
    );
    assert.equal(received('commands').length, 0);
  });

  it('keeps an answer on disk while its connection is away', async () => {
    const flow = await load({ connection: 'away' });
    await flow.send('n', command('a'));
    await flow.send('n', { ...(await flow.message('commands')), payload: true });
    await unloadFlow();
    const reader = await openStore(url);
    const [open] = await responderStore(reader, DEVICE).loadOpen();
    await reader.close();
    assert.deepEqual([open?.commandId, open?.state], ['a', 'answered']);
    const later = await load();
    assert.equal(ackIn(await later.message('publish'))['command_id'], 'a');
  });

  for (const [name, settings, expected] of [
    ['a device id is missing', { deviceId: '' }, /device_id of topic .* is ""/],
    ['a device id holds a wildcard', { deviceId: 'a/+' }, /device_id of topic/],
    ['the store is missing', { store: '' }, /store/],
    [
      'the answer timeout is none',
      { answerTimeout: 'soon' },
      /answer timeout is soon: accepted is a number above 0/,
    ],
    ['parameter schemas are not JSON', { schemas: '{' }, /parameter schemas are not JSON/],
    ['a parameter schema is none', { schemas: '{"FEED": 5}' }, /parameter schemas of FEED are no object/],
  ] as const) {
    it(`says at its start, once, that ${name}`, async () => {
      await load(settings);
      // The store opens in turns of the event loop; a wrong setting is told before that or right after.
      await new Promise((resolve) => setImmediate(resolve));
      const errors = errorsOf('n');
      assert.equal(errors.length, 1);
      assert.match(errors[0] ?? '', expected);
    });
  }
});
