import assert from 'node:assert/strict';
import { once } from 'node:events';
import helper from 'node-red-node-test-helper';
import { WebSocket } from 'ws';
import { solarStore } from '../../lib/store/solar.js';
import accessNode from '../../nodes/access/access.js';
import commandNode from '../../nodes/device-command/device-command.js';
import historyNode from '../../nodes/history/history.js';
import feedNode from '../../nodes/live-feed/live-feed.js';
import storeNode from '../../nodes/store/store.js';
import telemetryNode from '../../nodes/telemetry-store/telemetry-store.js';
import { errorsOf, loadFlow, startRuntime, stopRuntime } from '../support/flow.js';
import { IDS, STATUS, TELEMETRY, topicOf } from '../support/solar.js';
import { cleanUp, opened, temporaryFolder, temporaryUrl } from '../support/store.js';

const OUTPUTS = ['telemetry', 'status', 'refused'];

describe('the nodes of solar machines', () => {
  let url: string;
  let directory: string;
  beforeEach(async () => {
    url = await temporaryUrl();
    directory = await temporaryFolder();
    await startRuntime(directory);
  });
  afterEach(async () => {
    await stopRuntime();
    await cleanUp();
  });

  const load = (settings: { telemetry?: object; history?: object } = {}) =>
    loadFlow([storeNode, accessNode, telemetryNode, feedNode, historyNode, commandNode], [
      { id: 'store', type: 'fieldloom-store', url },
      { id: 'access', type: 'fieldloom-access', store: 'store', mode: 'open', directory },
      {
        ...{ id: 't', type: 'fieldloom-telemetry-store', store: 'store', connection: '' },
        ...{ wires: OUTPUTS.map((id) => [id]), ...settings.telemetry },
      },
      { id: 'feed', type: 'fieldloom-live-feed', telemetry: 't', wires: [] },
      {
        ...{ id: 'past', type: 'fieldloom-history', telemetry: 't', commands: 'c', wires: [['points']] },
        ...settings.history,
      },
      {
        ...{ id: 'c', type: 'fieldloom-device-command', store: 'store', connection: '', profile: 'solar' },
        wires: [[], [], [], [], [], ['sent']],
      },
      ...[...OUTPUTS, 'points', 'sent'].map((id) => ({ id, type: 'helper' })),
    ] as { id: string; type: string }[]);
  const say = (kind: 'telemetry' | 'status', payload: unknown) => ({ topic: topicOf(kind), payload });

  it('take the document’s messages from a wire, tell of them, and are done when the row is committed', async () => {
    const { send, message, received } = await load();
    await send('t', say('telemetry', TELEMETRY));
    const reader = solarStore(await opened(url));
    const machine = await reader.machineOf(IDS);
    assert.equal((await reader.telemetry(machine?.number ?? 0)).items.length, 1);
    const first = (await message('telemetry')).payload as Record<string, unknown>;
    const { at, received_at, ...values } = first;
    assert.equal(at, received_at);
    assert.deepEqual(values, { company_id: '1', machine_id: 'A', ...JSON.parse(TELEMETRY) });
    await send('t', say('status', JSON.parse(STATUS)));
    const change = (await message('status', 2)).payload as Record<string, unknown>;
    assert.deepEqual(
      [change['previous_status'], change['status'], change['energy'], change['restarted']],
      ['online', 'Running', 150.5, false],
    );
    assert.equal(received('refused').length, 0);
  });

  it('send what they refuse out of the third output, as it came', async () => {
    const { send, message } = await load();
    await send('t', say('telemetry', '{"battery":"full"}'));
    const refused = await message('refused');
    assert.equal(String(refused.payload), '{"battery":"full"}');
    assert.deepEqual(refused['error'], {
      code: 'schema_mismatch',
      message: '/battery must be number,null',
      pointer: '/battery',
    });
  });

  it('answer points to a flow in the order of time, at each resolution', async () => {
    const { send, message } = await load();
    for (const battery of [12, 13]) await send('t', say('telemetry', { battery }));
    const asked = { company_id: 1, machine_id: 'A' };
    await send('past', { payload: { ...asked, from: '2020-01-01T00:00:00Z' }, kept: true });
    const answer = await message('points');
    assert.deepEqual(
      (answer.payload as { battery: number }[]).map(({ battery }) => battery),
      [12, 13],
    );
    assert.equal(answer['kept'], true);
    await send('past', { payload: { ...asked, resolution: '1h', to: Date.now() + 1000 } });
    const hours = (await message('points', 2)).payload as { battery: { count: number } }[];
    assert.equal(
      hours.reduce((sum, { battery }) => sum + battery.count, 0),
      2,
    );
    await send('past', { payload: { ...asked, limit: 1 } });
    assert.equal(((await message('points', 3)).payload as { battery: number }[])[0]?.battery, 13);
    for (const [wrong, code] of [
      [{ machine_id: 'A' }, 'invalid_input'],
      [{ ...asked, resolution: '1d' }, 'invalid_input'],
      [{ ...asked, from: 'yesterday' }, 'invalid_input'],
      [{ ...asked, limit: 0 }, 'invalid_input'],
      [{ ...asked, machine_id: 'none' }, 'not_found'],
      ['A', 'invalid_input'],
    ] as const) {
      await assert.rejects(send('past', { payload: wrong }), { code }, JSON.stringify(wrong));
    }
  });

  it('show a machine live, with what a flow has to say, and fast where that is wanted', async () => {
    const { send } = await load({ telemetry: { fast: true } });
    await send('t', say('telemetry', TELEMETRY));
    const { port } = (helper as unknown as { _server: { address(): { port: number } } })._server.address();
    const socket = new WebSocket(`ws://127.0.0.1:${port}/realtime/A?company=1`);
    const messages: { type: string; data: Record<string, unknown> }[] = [];
    socket.on('message', (data) => {
      messages.push(JSON.parse(data.toString()));
      socket.emit('told');
    });
    const until = async (count: number) => {
      while (messages.length < count) await once(socket, 'told');
    };
    await until(1);
    await send('t', say('telemetry', { battery: 1 }));
    await send('feed', { company_id: '1', machine_id: 'A', type: 'notice', payload: { text: 'noon' } });
    await until(3);
    assert.deepEqual(
      messages.map(({ type }) => type),
      ['snapshot', 'telemetry', 'notice'],
    );
    assert.deepEqual(messages[2]?.data, { text: 'noon' });
    for (const wrong of [{ machine_id: 'A' }, { company_id: '1', machine_id: 'A', type: 'gap' }]) {
      await assert.rejects(send('feed', wrong), { code: 'invalid_input' });
    }
    socket.terminate();
  });

  it('say what is wrong with their settings', async () => {
    await load({ telemetry: { rawDays: '500', minuteDays: '400' }, history: { allowed: '{"1":{"x":7}}' } });
    assert.match(errorsOf('t')[0] ?? '', /rows, minutes and hours are kept for 500, 400, 1825 days/);
    assert.match(errorsOf('past')[0] ?? '', /allowed commands: 1, x is no JSON Schema/);
  });
});
