import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import connectionNode from '../../nodes/connection/connection.js';
import agentNode from '../../nodes/firmware-agent/firmware-agent.js';
import storeNode from '../../nodes/store/store.js';
import { AGENT_TOPICS, cancelMessage, DEPLOYMENT, updateMessage } from '../support/firmware-agent.js';
import {
  errorsOf,
  type LoadedFlow,
  loadFlow,
  startRuntime,
  stopRuntime,
  unloadFlow,
} from '../support/flow.js';
import { CONTROLLER_ID, STORE_ID } from '../support/seed.js';
import { cleanUp, later, temporaryFolder, temporaryUrl } from '../support/store.js';

const CONTENT = Buffer.from('the new firmware');

describe('the firmware agent node', () => {
  let url: string;
  let server: Server;
  let file: { fileUrl: string; fileSize: number; checksum: string };

  beforeEach(async () => {
    url = await temporaryUrl();
    await startRuntime(await temporaryFolder());
    server = createServer((_request, response) => response.end(CONTENT)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    later(async () => {
      server.close();
      server.closeAllConnections();
    });
    file = {
      fileUrl: `http://127.0.0.1:${(server.address() as { port: number }).port}/`,
      fileSize: CONTENT.length,
      checksum: createHash('md5').update(CONTENT).digest('hex'),
    };
  });
  afterEach(async () => {
    await stopRuntime();
    await cleanUp();
  });

  const load = (settings: object = {}) =>
    loadFlow(
      [storeNode, connectionNode, agentNode],
      [
        { id: 'store', type: 'fieldloom-store', url } as never,
        {
          id: 'n',
          type: 'fieldloom-firmware-agent',
          store: 'store',
          storeId: STORE_ID,
          controllerId: CONTROLLER_ID,
          wires: [['install'], ['progress'], ['cancel'], ['publish']],
          ...settings,
        } as never,
        ...['install', 'progress', 'cancel', 'publish'].map((id) => ({ id, type: 'helper' })),
      ],
    );
  const command = (payload: unknown) => ({ topic: AGENT_TOPICS.action, payload });
  const update = () => command(updateMessage(DEPLOYMENT, file));
  const published = async ({ message }: LoadedFlow, count: number) => {
    const { topic, payload, qos } = await message('publish', count);
    return [topic, JSON.parse(String(payload)).event_type, qos];
  };
  const states = ({ received }: LoadedFlow) => [
    ...new Set(received('progress').map(({ payload }) => (payload as { state: string }).state)),
  ];

  it('by wires: acknowledges, hands the file on, and reports what the flow answers', async () => {
    const flow = await load();
    await flow.send('n', update());
    assert.deepEqual(await published(flow, 1), [AGENT_TOPICS.ack, 'update_firmware_ack', 1]);
    const install = await flow.message('install');
    assert.deepEqual(await readFile(install.payload as string), CONTENT);
    const firmware = install['firmware'] as Record<string, unknown>;
    assert.equal(firmware['deployment_id'], DEPLOYMENT);
    assert.equal(firmware['firmware_version'], '1.0.1');
    assert.equal(firmware['file_size'], CONTENT.length);
    await flow.send('n', { ...install, payload: true });
    assert.deepEqual(await published(flow, 2), [AGENT_TOPICS.action, 'update_firmware_completed', 1]);
    assert.deepEqual(states(flow), ['downloading', 'verifying', 'installing', 'completed']);
    await assert.rejects(stat(install.payload as string), { code: 'ENOENT' });
  });

  it('takes what mqtt in has made an object of', async () => {
    const flow = await load();
    await flow.send('n', command(JSON.parse(String(updateMessage(DEPLOYMENT, file)))));
    await flow.message('install');
  });

  for (const [what, answer, errors] of [
    ['false', { payload: false }, ['the installation failed']],
    ['a list of errors', { payload: { success: false, errors: ['a', { message: 'b' }] } }, ['a', 'b']],
    ['one error', { payload: { success: false, errors: 'a' } }, ['a']],
    ['the error of a Catch node', { error: { message: 'no such device', source: {} } }, ['no such device']],
  ] as const) {
    it(`reports a failure that is answered by ${what}`, async () => {
      const flow = await load();
      await flow.send('n', update());
      await flow.send('n', { ...(await flow.message('install')), ...answer });
      const failed = JSON.parse(String((await flow.message('publish', 2)).payload));
      assert.equal(failed.event_type, 'update_firmware_failed');
      assert.deepEqual(failed.payload.errors, errors);
    });
  }

  it('asks the flow whether it can still cancel, and acknowledges only then', async () => {
    const flow = await load();
    await flow.send('n', update());
    const install = await flow.message('install');
    await flow.send('n', command(cancelMessage()));
    const asked = await flow.message('cancel');
    assert.deepEqual([asked.payload, asked['firmware']], [install.payload, install['firmware']]);
    assert.equal(flow.received('publish').length, 1);
    await flow.send('n', { ...asked, payload: { cancelled: true } });
    assert.deepEqual(await published(flow, 2), [AGENT_TOPICS.ack, 'cancel_update_firmware_ack', 1]);
  });

  it('after a restart goes by the version that runs', async () => {
    const first = await load();
    await first.send('n', update());
    await first.message('install');
    await unloadFlow();
    const flow = await load();
    const again = (await flow.message('progress')).payload as Record<string, unknown>;
    assert.deepEqual([again['state'], again['restarted']], ['installing', true]);
    await flow.send('n', { installed_version: '1.0.1' });
    assert.equal((await published(flow, 1))[1], 'update_firmware_completed');
    assert.equal(flow.received('install').length, 0);
  });

  it('tells by done what is wrong with an answer', async () => {
    const flow = await load();
    await flow.send('n', update());
    const install = await flow.message('install');
    for (const wrong of [
      install,
      { ...install, payload: { ok: true } },
      { ...install, payload: null },
      { ...install, firmware: {}, payload: true },
      { installed_version: 1 },
      { payload: updateMessage() },
      { topic: AGENT_TOPICS.action, payload: 5 },
    ]) {
      await assert.rejects(flow.send('n', wrong), { code: 'invalid_input' });
    }
    const unknown = { firmware: { deployment_id: STORE_ID }, payload: true };
    await assert.rejects(flow.send('n', unknown), { code: 'not_found' });
  });

  it('leaves messages of other topics alone', async () => {
    const flow = await load();
    await flow.send('n', { topic: AGENT_TOPICS.ack, payload: updateMessage(DEPLOYMENT, file) });
    assert.equal(flow.received('publish').length, 0);
  });

  for (const [name, settings, expected] of [
    ['the store id is none', { storeId: 'shop' }, /store id is "shop": accepted is a UUID/],
    ['there is no store', { store: '' }, /store/],
    ['the public key is none', { verifyWith: 'x' }, /accepted is an Ed25519 public key/],
    ['the largest size is none', { maxSize: '-1' }, /largest image is -1/],
  ] as const) {
    it(`says at its start that ${name}`, async () => {
      await load(settings);
      assert.equal(errorsOf('n').length, 1);
      assert.match(errorsOf('n')[0] ?? '', expected);
    });
  }
});
