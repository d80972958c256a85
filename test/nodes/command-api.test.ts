import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { NodeAPI } from 'node-red';
import { Access } from '../../lib/access/access.js';
import { openStore } from '../../lib/store/open.js';
import { ponds } from '../../lib/store/pond.js';
import accessNode from '../../nodes/access/access.js';
import apiNode from '../../nodes/command-api/command-api.js';
import commandNode from '../../nodes/device-command/device-command.js';
import storeNode from '../../nodes/store/store.js';
import { errorsOf, loadFlow, startRuntime, stopRuntime } from '../support/flow.js';
import { eventually } from '../support/gateway.js';
import type { Controlled, Execution } from '../support/pond-api.js';
import { cleanUp, later, temporaryFolder, temporaryUrl } from '../support/store.js';

const PASSWORD = 'a long password';
const FEED = '/automation/ponds/1/control/feed/';

describe('the command api node', () => {
  let url: string;
  let directory: string;
  let server: Server | undefined;

  beforeEach(async () => {
    url = await temporaryUrl();
    directory = await temporaryFolder();
    const store = await openStore(url);
    const access = await Access.open(store);
    const { userId } = await access.addUser('ann', PASSWORD);
    const rest = { name: 'Test Pond', feedLimitG: 500, thresholds: {} };
    await ponds(store).add({ ...rest, ownerId: userId, device: 'D', position: 1 });
    access.close();
    await store.close();
    await startRuntime(directory);
  });
  afterEach(async () => {
    await stopRuntime();
    await cleanUp();
  });

  /** The helper's httpNode has no server of its own. */
  const served = (RED: NodeAPI) => {
    server = createServer(RED.httpNode as never).listen(0, '127.0.0.1');
    const mine = server;
    later(async () => {
      mine.close();
      mine.closeAllConnections();
    });
  };
  const load = (settings: object = {}, wires = [['executions'], ['refused']]) =>
    loadFlow(
      [served, storeNode, accessNode, apiNode, commandNode],
      [
        { id: 'store', type: 'fieldloom-store', url } as never,
        { id: 'access', type: 'fieldloom-access', store: 'store', mode: 'open', directory } as never,
        {
          id: 'api',
          type: 'fieldloom-command-api',
          store: 'store',
          commands: 'commands',
          wires,
          ...settings,
        } as never,
        // By wires: what it would publish goes nowhere, as if the device were silent.
        {
          id: 'commands',
          type: 'fieldloom-device-command',
          store: 'store',
          connection: '',
          wires: [],
        } as never,
        { id: 'executions', type: 'helper' },
        { id: 'refused', type: 'helper' },
      ],
    );
  const address = async () => {
    const here = server as Server;
    if (!here.listening) await once(here, 'listening');
    return `http://127.0.0.1:${(here.address() as { port: number }).port}`;
  };
  async function ask(path: string, body: object, token?: string) {
    const answer = await fetch((await address()) + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
    });
    return { status: answer.status, body: (await answer.json()) as unknown };
  }
  /** A token, once the store is open. */
  const login = () =>
    eventually(async () => {
      const { status, body } = await ask('/api/token/', { username: 'ann', password: PASSWORD });
      return status === 200 ? (body as { access: string }).access : undefined;
    }, 'a login');

  it('gives each change of an execution to its first output, once', async () => {
    const { message, received } = await load();
    const token = await login();
    const { body } = await ask(FEED, { amount: 5 }, token);
    assert.equal((body as Controlled).success, true);
    await eventually(async () => {
      const last = received('executions').at(-1)?.payload as Execution | undefined;
      return last?.command.status === 'SENT' ? true : undefined;
    }, 'the command is sent');
    const first = await message('executions');
    assert.equal(first['topic'], 'ponds/1/executions');
    await ask('/automation/executions/1/cancel/', {}, token);
    const last = await eventually(async () => {
      const found = received('executions').at(-1)?.payload as Execution;
      return found.status === 'FAILED' ? found : undefined;
    }, 'the end');
    assert.equal(last.command.status, 'CANCELLED');
    const ends = received('executions').filter(({ payload }) => (payload as Execution).status === 'FAILED');
    assert.equal(ends.length, 1);
    assert.deepEqual(received('refused'), []);
  });

  it('tells its second output who was refused what, and why', async () => {
    const { message } = await load();
    const token = await login();
    await ask(FEED, { amount: 501 }, token);
    const { topic, payload } = await message('refused');
    const { address: from, ...told } = payload as { address: string };
    assert.equal(topic, FEED);
    assert.deepEqual(told, {
      method: 'POST',
      path: FEED,
      status: 400,
      error: 'Amount is 501 g: at most 500 g are accepted for this pond',
      user: 'ann',
    });
    assert.match(from, /127\.0\.0\.1/);
    await ask(FEED, {});
    const { payload: second } = await message('refused', 2);
    const { status, error, user } = second as { status: number; error: string; user: null };
    assert.deepEqual([status, error, user], [401, 'Authentication credentials were not provided.', null]);
  });

  it('says which setting is missing', async () => {
    for (const [settings, property] of [
      [{ store: '' }, 'store'],
      [{ commands: '' }, 'commands'],
    ] as const) {
      await load(settings);
      const [error] = errorsOf('api');
      assert.ok(error?.includes(property), error);
      await stopRuntime();
      await startRuntime(directory);
    }
  });

  it('answers 500 where the command node it names is not there', async () => {
    await load({ commands: 'gone' });
    const { status, body } = await ask(FEED, {}, await login());
    assert.deepEqual([status, (body as Controlled).success], [500, false]);
  });

  it('works with nothing wired to it', async () => {
    await load({}, []);
    assert.equal((await ask(FEED, {}, await login())).status, 200);
  });
});
