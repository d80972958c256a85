import assert from 'node:assert/strict';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { eventually, Gateway } from '../support/gateway.js';
import type { Controlled, Execution } from '../support/pond-api.js';
import { addPond, addUser, deploy, installPondFlow, PondDevice } from '../support/pond-flow.js';

describe('the pond API of a running gateway', function () {
  this.timeout(120_000);
  let gateway: Gateway;
  let device: PondDevice;
  let ann: string;
  let bob: string;

  before(async () => {
    gateway = await Gateway.create();
    await installPondFlow(gateway);
    await gateway.start();
    ann = await addUser(gateway, 'ann');
    bob = await addUser(gateway, 'bob');
    assert.equal(await addPond(gateway, 'ann'), 1);
    device = await PondDevice.connect(gateway);
  });
  beforeEach(() => {
    device.commands.length = 0;
    device.answer = PondDevice.done;
  });
  after(async () => {
    await device?.end();
    await gateway?.remove();
  });

  async function ask(
    method: string,
    path: string,
    { as = ann, body, headers = {} }: { as?: string; body?: object; headers?: Record<string, string> } = {},
  ) {
    const answer = await fetch(gateway.url + path, {
      method,
      headers: {
        authorization: `Bearer ${as}`,
        ...(body && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: answer.status, headers: answer.headers, body: (await answer.json()) as unknown };
  }
  const feed = (body: object = { amount: 100 }, headers: Record<string, string> = {}) =>
    ask('POST', '/automation/ponds/1/control/feed/', { body, headers });
  const execution = async (id: number) =>
    (await ask('GET', `/automation/executions/${id}/`)).body as Execution;
  const ended = (id: number) =>
    eventually(async () => {
      const found = await execution(id);
      return found.status === 'EXECUTING' ? undefined : found;
    }, `the end of execution ${id}`);
  const idOf = ({ body }: { body: unknown }) => (body as Controlled).data.execution_id;

  it('holds the exchange of the document word for word', async () => {
    device.answer = undefined;
    const answer = await feed();
    const id = idOf(answer);
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, {
      success: true,
      data: {
        execution_id: id,
        message: 'Feed command executed successfully for Test Pond',
        feed_amount: 100,
      },
    });
    const command = await device.command(0);
    const { topic, qos, retain } = device.commands[0] ?? {};
    assert.deepEqual([topic, qos, retain], ['devices/AA:BB:CC:DD:EE:FF/commands', 2, false]);
    const { command_id, timestamp, parameters, ...rest } = command;
    assert.deepEqual(rest, { command_type: 'FEED', pond_position: 1 });
    assert.match(command_id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    const { timestamp: asked, ...said } = parameters;
    assert.deepEqual(said, { action: 'feed', amount: 100 });
    for (const time of [timestamp, String(asked)])
      assert.ok(Math.abs(Date.parse(time) - Date.now()) < 10_000);
    await eventually(
      async () => ((await execution(id)).command.status === 'SENT' ? true : undefined),
      'the command is sent',
    );
    device.acknowledge(PondDevice.done(command));
    const { status, action, command: followed } = await ended(id);
    assert.deepEqual([status, action], ['COMPLETED', 'FEED']);
    assert.deepEqual([followed.command_id, followed.status, followed.attempts], [command_id, 'COMPLETED', 1]);
    const way = (followed.history as { status: string }[]).map((step) => step.status);
    assert.deepEqual([...new Set(way)], ['PENDING', 'SENT', 'ACKNOWLEDGED', 'COMPLETED']);
    for (const line of [
      `Created manual automation ${id} for Pond 1: FEED`,
      `Command ${command_id} sent to device AA:BB:CC:DD:EE:FF for pond 1`,
      `Command ${command_id} acknowledged successfully`,
      `Automation ${id} completed successfully via command ${command_id}`,
    ]) {
      await eventually(async () => (gateway.output.includes(line) ? true : undefined), line);
      assert.equal(gateway.output.split(line).length, 2, `${line}\n${gateway.output}`);
    }
  });

  it('says what the device answered to who waits for it', async () => {
    const done = await feed({}, { prefer: 'wait=15' });
    const { success, data } = done.body as Controlled;
    assert.deepEqual([success, data.status, data.command?.status], [true, 'COMPLETED', 'COMPLETED']);
    assert.equal(done.headers.get('preference-applied'), 'wait=15');
    device.answer = ({ command_id }) => ({ command_id, success: false, message: 'Motor jammed' });
    const failed = (await feed({}, { prefer: 'wait=15' })).body as Controlled;
    assert.deepEqual(
      [failed.success, failed.data.status, failed.data.command?.reason],
      [false, 'FAILED', 'device'],
    );
    assert.match(failed.error ?? '', /Motor jammed/);
  });

  it('opens a valve', async () => {
    const body = { action: 'open', duration_s: 30 };
    const answer = await ask('POST', '/automation/ponds/1/control/water/', { body });
    assert.equal(answer.status, 200);
    const { command_type, parameters } = await device.command(0);
    const { timestamp: _, ...said } = parameters;
    assert.deepEqual([command_type, said], ['WATER_VALVE', body]);
    assert.equal((await ended(idOf(answer))).status, 'COMPLETED');
  });

  it('sends one command for one Idempotency-Key: said at once, said again, said after a restart', async () => {
    const headers = { 'idempotency-key': 'after a restart'.replaceAll(' ', '-') };
    const answers = await Promise.all([1, 2, 3].map(() => feed({ amount: 7 }, headers)));
    const id = idOf(answers[0] as { body: unknown });
    await ended(id);
    assert.equal(await gateway.end('SIGTERM'), 0);
    await gateway.start();
    answers.push(await feed({ amount: 7 }, headers));
    for (const { status, body } of answers) {
      assert.equal(status, 200);
      assert.deepEqual(body, answers[0]?.body);
    }
    assert.equal((await feed({ amount: 8 }, headers)).status, 409);
    assert.equal(device.commands.length, 1);
    // Ids of executions go on.
    await eventually(async () => (device.client.connected ? true : undefined), 'the device is back');
    assert.ok(idOf(await feed()) > id);
  });

  it('answers 500 within 100 ms while the broker is away, and works again by itself', async () => {
    const setBroker = (present: boolean) =>
      deploy(gateway, (flow) =>
        flow.map((node) => (node.type === 'fieldloom-broker' ? { ...node, d: !present } : node)),
      );
    await feed({}, { prefer: 'wait=15' });
    await setBroker(false);
    const away = { success: false, error: 'MQTT client not connected' };
    await eventually(async () => ((await feed()).status === 500 ? true : undefined), 'the broker is away');
    const times: number[] = [];
    for (let count = 0; count < 20; count += 1) {
      const before = performance.now();
      const answer = await feed();
      times.push(performance.now() - before);
      assert.deepEqual([answer.status, answer.body], [500, away]);
    }
    assert.ok(Math.max(...times) < 100, `${Math.max(...times)} ms`);
    const { items } = (await ask('GET', '/automation/ponds/1/executions/?limit=1')).body as {
      items: Execution[];
    };
    const [last] = items;
    assert.deepEqual(
      [last?.status, last?.command.status, last?.command.reason],
      ['FAILED', 'FAILED', 'not_connected'],
    );
    const sent = device.commands.length;
    await setBroker(true);
    await eventually(async () => (device.client.connected ? true : undefined), 'the device is back');
    const back = await eventually(async () => {
      const answer = await feed({}, { prefer: 'wait=15' });
      return answer.status === 200 ? (answer.body as Controlled) : undefined;
    }, 'a feed after the broker is back');
    assert.equal(back.data.status, 'COMPLETED');
    assert.equal(device.commands.length, sent + 1, 'nothing of the time without a broker is sent later');
  });

  it('goes on when the command node is deployed anew', async () => {
    await deploy(gateway, (flow) =>
      flow.map((node) => (node.id === 'test-commands' ? { ...node, name: `named ${Date.now()}` } : node)),
    );
    const done = await eventually(async () => {
      const answer = await feed({}, { prefer: 'wait=15' });
      return answer.status === 200 ? (answer.body as Controlled) : undefined;
    }, 'a feed after the deploy');
    assert.equal(done.data.status, 'COMPLETED');
  });

  it('cancels what the device has not answered', async () => {
    device.answer = undefined;
    const id = idOf(await feed());
    await device.command(0);
    const answer = await ask('POST', `/automation/executions/${id}/cancel/`);
    assert.equal(answer.status, 200);
    const { data } = answer.body as { data: Execution };
    assert.deepEqual([data.status, data.command.status], ['FAILED', 'CANCELLED']);
    assert.equal((await ask('POST', `/automation/executions/${id}/cancel/`)).status, 409);
  });

  it('shows a pond to its owner alone', async () => {
    const id = idOf(await feed());
    for (const [method, path] of [
      ['POST', '/automation/ponds/1/control/feed/'],
      ['POST', '/automation/ponds/1/control/water/'],
      ['GET', '/automation/ponds/1/'],
      ['GET', '/automation/ponds/1/executions/'],
      ['GET', '/automation/ponds/1/readings/'],
      ['GET', '/automation/ponds/1/alerts/'],
      ['GET', `/automation/executions/${id}/`],
      ['POST', `/automation/executions/${id}/cancel/`],
    ] as const) {
      const answer = await ask(method, path, { as: bob });
      assert.deepEqual([answer.status, answer.body], [403, { success: false, error: 'Access denied' }], path);
    }
    assert.deepEqual((await ask('GET', '/automation/ponds/', { as: bob })).body, {
      items: [],
      next_cursor: null,
    });
    const { status } = await fetch(`${gateway.url}/automation/ponds/`);
    assert.equal(status, 401);
  });

  it('tells a follower of commands and readings as they come, until its user is revoked', async () => {
    const eve = await addUser(gateway, 'eve', '--admin');
    const { body } = await ask('POST', '/api/ws-ticket', { as: eve });
    const { ticket } = body as { ticket: string };
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/realtime/ponds/1?ticket=${ticket}`);
    const messages: { type: string; data: Record<string, unknown> }[] = [];
    socket.on('message', (data) => messages.push(JSON.parse(data.toString())));
    const seen = (what: (message: (typeof messages)[number]) => boolean, name: string) =>
      eventually(async () => messages.find(what), name);
    await seen(({ type }) => type === 'snapshot', 'a snapshot');
    const id = idOf(await feed());
    await seen(
      ({ type, data }) =>
        type === 'execution' && data['execution_id'] === id && data['status'] === 'COMPLETED',
      'the end of the execution',
    );
    await device.publish('data/sensors', {
      pond_position: 1,
      temperature: 25.5,
      timestamp: new Date().toISOString(),
    });
    const reading = await seen(({ type }) => type === 'reading', 'a reading');
    assert.equal((reading.data['values'] as Record<string, number>)['temperature'], 25.5);
    const { readings } = (await ask('GET', '/automation/ponds/1/')).body as {
      readings: Record<string, { value: number }>;
    };
    assert.equal(readings['temperature']?.value, 25.5);
    const closed = once(socket, 'close');
    const revokedAt = Date.now();
    await gateway.command('user', 'revoke', 'eve');
    const [code] = await closed;
    assert.equal(code, 4403);
    assert.ok(Date.now() - revokedAt < 7_000, `${Date.now() - revokedAt} ms`);
  });
});
