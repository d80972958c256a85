import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Access } from '../../lib/access/access.js';
import { compileSchema } from '../../lib/core/schema.js';
import { parse } from '../../lib/firmware/codec.js';
import { deadLetters } from '../../lib/store/dead-letters.js';
import { firmwareStore } from '../../lib/store/firmware.js';
import { openStore } from '../../lib/store/open.js';
import accessNode from '../../nodes/access/access.js';
import brokerNode from '../../nodes/broker/broker.js';
import connectionNode from '../../nodes/connection/connection.js';
import rolloutNode from '../../nodes/firmware-rollout/firmware-rollout.js';
import storeNode from '../../nodes/store/store.js';
import { failing, IMAGE, obedient, simulatedFleet, targetsOf, testFilesNode } from '../support/firmware.js';
import { errorsOf, type LoadedFlow, loadFlow, startRuntime, stopRuntime } from '../support/flow.js';
import { freePort } from '../support/ports.js';
import { CONTROLLER_ID, STORE_ID } from '../support/seed.js';
import { cleanUp, later, opened, temporaryFolder, temporaryUrl } from '../support/store.js';

const outputs = ['gates', 'deployments', 'rollouts', 'alerts', 'publish'];
const collectors = outputs.map((id) => ({ id, type: 'helper' }));
const TARGET = { store_id: STORE_ID, controller_id: CONTROLLER_ID };
const ALL = { percent: 100, success_threshold: 1, error_threshold: 0.5 };
const ACTION = `/stores/${STORE_ID}/controllers/${CONTROLLER_ID}/action`;
const ACK = `/stores/${STORE_ID}/controllers/${CONTROLLER_ID}/ack`;

type Payload = Record<string, unknown> & { id: string; state: string; event: string };
const payloadOf = (message: { payload?: unknown }) => message.payload as Payload;

/** The n-th message of a collector whose payload is as wanted. */
async function arrives(
  flow: LoadedFlow,
  id: string,
  wanted: (payload: Payload) => boolean,
): Promise<Payload> {
  for (let count = 1; ; count += 1) {
    const payload = payloadOf(await flow.message(id, count));
    if (wanted(payload)) return payload;
  }
}

describe('the firmware rollout node', function () {
  this.timeout(30_000);
  let url: string;
  beforeEach(async () => {
    url = await temporaryUrl();
    await startRuntime(await temporaryFolder());
  });
  afterEach(async () => {
    await stopRuntime();
    await cleanUp();
  });

  const base = () => [
    { id: 'store', type: 'fieldloom-store', url },
    { id: 'files', type: 'test-firmware-files' },
  ];
  const node = (settings: object = {}, wires = outputs.map((id) => [id])) => ({
    ...{ id: 'n', type: 'fieldloom-firmware-rollout', store: 'store', files: 'files', connection: '' },
    wires,
    ...settings,
  });
  const ungated = outputs.map((id, index) => (index === 0 ? [] : [id]));
  const loadWired = (wires = ungated, settings: object = {}) =>
    loadFlow([storeNode, testFilesNode, rolloutNode], [...base(), node(settings, wires), ...collectors]);
  const create = (body: object = {}) => ({
    rollout: {
      action: 'create',
      image_id: IMAGE.imageId,
      targets: [TARGET],
      stages: [ALL],
      start: true,
      ...body,
    },
  });
  const reply = (about: Buffer | unknown, type: string, extra: object = {}) => {
    const asked = JSON.parse(String(about));
    return {
      topic: type.endsWith('_ack') ? ACK : ACTION,
      payload: {
        ...asked,
        event_type: type,
        payload: { deployment_id: asked.payload.deployment_id, ...extra },
      },
    };
  };

  it('wired: sends what the document says field for field, and takes ack and completed', async () => {
    const flow = await loadWired();
    await flow.send('n', create());
    const sent = await flow.message('publish');
    assert.deepEqual([sent.topic, sent['qos'], sent['retain']], [ACTION, 1, false]);
    const message = JSON.parse(String(sent.payload));
    const schema = JSON.parse(
      readFileSync(join('schemas/firmware', 'update-firmware.schema.json'), 'utf8'),
    ) as { $id: string };
    assert.deepEqual(compileSchema({ $ref: schema.$id })(message).valid, true);
    assert.deepEqual(Object.keys(message), [
      ...['version', 'event_type', 'timestamp', 'correlation_id', 'controller_id', 'store_id', 'payload'],
    ]);
    const { deployment_id, file_url, ...payload } = message.payload;
    assert.match(file_url, /^https:\/\/files\.example\//);
    assert.deepEqual(payload, {
      firmware_version: IMAGE.version,
      file_size: IMAGE.fileSize,
      checksum: IMAGE.checksum,
      sha256: IMAGE.sha256,
    });
    const ids = { store_id: STORE_ID, controller_id: CONTROLLER_ID };
    assert.equal(parse('action', ids, sent.payload as Buffer, Date.now()).deploymentId, deployment_id);

    await flow.send('n', reply(sent.payload, 'update_firmware_ack'));
    await flow.send('n', reply(sent.payload, 'update_firmware_completed'));
    const done = await arrives(flow, 'rollouts', ({ state }) => state === 'COMPLETED');
    assert.deepEqual(done['counts'], { COMPLETED: 1 });
    assert.deepEqual(
      flow.received('deployments').map((each) => payloadOf(each).event),
      ['sent', 'acknowledged', 'completed'],
    );
  });

  it('refuses messages of no deployment and of another controller, and keeps them', async () => {
    const flow = await loadWired();
    await flow.send('n', create());
    const sent = await flow.message('publish');
    const foreign = reply(sent.payload, 'update_firmware_ack');
    const other = '6ba7b812-9dad-11d1-80b4-00c04fd430c8';
    const topic = ACK.replace(CONTROLLER_ID, other);
    await flow.send('n', { topic, payload: { ...foreign.payload, controller_id: other } });
    const unknown = { ...foreign.payload, payload: { deployment_id: other } };
    await flow.send('n', { topic: ACK, payload: unknown });
    await flow.message('alerts', 2);
    assert.deepEqual(
      flow.received('alerts').map((each) => each['error']),
      [
        {
          code: 'id_mismatch',
          message: `/payload/deployment_id is ${foreign.payload.payload.deployment_id}, a deployment of another controller`,
          pointer: '/payload/deployment_id',
        },
        {
          code: 'not_found',
          message: `/payload/deployment_id is ${other}: there is no such deployment`,
          pointer: '/payload/deployment_id',
        },
      ],
    );
    const reader = await openStore(url);
    assert.equal(await deadLetters(reader).count('firmware'), 2);
    await reader.close();
  });

  it('starts no stage before the gate lets it pass, and takes the answer as it comes back by the wire', async () => {
    const flow = await loadWired(outputs.map((id) => [id]));
    await flow.send('n', create());
    const asked = await flow.message('gates');
    assert.equal(flow.received('publish').length, 0);
    await flow.send('n', {
      ...asked,
      gate: { ...(asked['gate'] as object), pass: false, reason: 'too early' },
    });
    const waiting = await arrives(flow, 'rollouts', ({ event }) => event === 'gate');
    assert.deepEqual([waiting['waits_for'], waiting['reason']], ['gate', 'too early']);
    assert.equal(flow.received('publish').length, 0);
    await flow.send('n', { ...asked, gate: { ...(asked['gate'] as object), pass: true } });
    await flow.message('publish');
    await assert.rejects(flow.send('n', { gate: { ...(asked['gate'] as object), pass: true } }), {
      code: 'conflict',
    });
  });

  it('verifies the version that a machine state node’s snapshot names', async () => {
    const flow = await loadWired(ungated, { verify: '600' });
    await flow.send('n', create());
    const sent = await flow.message('publish');
    await flow.send('n', reply(sent.payload, 'update_firmware_ack'));
    await flow.send('n', reply(sent.payload, 'update_firmware_completed'));
    const waiting = payloadOf(await flow.message('deployments', 3));
    assert.deepEqual([waiting.state, waiting['verifying']], ['IN_PROGRESS', true]);
    await flow.send('n', { payload: TARGET, original: { firmware_version: '1.0.1' } });
    await arrives(flow, 'rollouts', ({ state }) => state === 'COMPLETED');
    await flow.send('n', create());
    const again = await arrives(flow, 'deployments', ({ event }) => event === 'already_installed');
    assert.equal(again.state, 'COMPLETED');
    assert.equal(flow.received('publish').length, 1);
  });

  it('tells by done, once, what it does not take', async () => {
    const flow = await loadWired();
    for (const [message, text] of [
      [{ payload: 'x' }, /accepted are msg\.rollout, msg\.gate/],
      [{ rollout: { action: 'dance' } }, /msg\.rollout\.action is "dance": accepted is create/],
      [{ rollout: { action: 'start' } }, /msg\.rollout\.rollout_id is missing/],
      [{ gate: { rollout_id: 'x', stage: 0 } }, /msg\.gate\.pass is missing/],
      [{ installed: { store_id: 'x' } }, /msg\.installed\.store_id is "x": accepted is a UUID/],
      [create({ image_id: 'none' }), /\/image_id: there is no image none/],
    ] as const) {
      await assert.rejects(flow.send('n', message), (error: Error) => text.test(error.message));
    }
    assert.equal(errorsOf('n').length, 6);
  });

  it('is alone on its store: a second one says so and does nothing', async () => {
    const second = { ...node({}, [[], [], [], [], []]), id: 'second' };
    const flow = [...base(), node({}, ungated), second, ...collectors];
    const { send } = await loadFlow([storeNode, testFilesNode, rolloutNode], flow);
    await assert.rejects(send('second', create()), { code: 'conflict' });
    await send('n', create());
  });

  describe('with the embedded broker', () => {
    let port: number;
    let login: { username: string; password: string };
    const loadConnected = async (settings: object = {}) => {
      port = await freePort();
      const store = await openStore(url);
      const access = await Access.open(store);
      login = await access.addClient({ role: 'service' });
      access.close();
      await store.close();
      const flows = [
        ...base(),
        { id: 'access', type: 'fieldloom-access', store: 'store', mode: 'open' },
        { id: 'connection', type: 'fieldloom-connection', kind: 'embedded' },
        {
          ...{ id: 'broker', type: 'fieldloom-broker', connection: 'connection', access: 'access' },
          ...{ store: 'store', port: String(port) },
        },
        node({ connection: 'connection', ...settings }, ungated),
        ...collectors,
      ];
      return loadFlow([storeNode, accessNode, connectionNode, brokerNode, testFilesNode, rolloutNode], flows);
    };
    it('brings a staged rollout of 20 controllers to its end, two of which fail', async () => {
      const flow = await loadConnected();
      const { controllers } = await simulatedFleetWhenUp(() =>
        simulatedFleet(`mqtt://127.0.0.1:${port}`, login, 20, (index) =>
          index % 10 === 9 ? failing : obedient,
        ),
      );
      const stages = [
        { percent: 10, success_threshold: 1, error_threshold: 0.3 },
        { percent: 50, success_threshold: 0.8, error_threshold: 0.3 },
        { percent: 100, success_threshold: 0.8, error_threshold: 0.3 },
      ];
      await flow.send('n', create({ targets: targetsOf(controllers), stages }));
      const done = await arrives(flow, 'rollouts', ({ state }) => state === 'COMPLETED');
      assert.deepEqual(done['counts'], { COMPLETED: 18, FAILED: 2 });
      for (const controller of controllers) assert.equal(controller.received.length, 1);
      const store = await opened(url);
      const { items } = await firmwareStore(store).deployments(done.id);
      const history = await firmwareStore(store).history(items.map(({ id }) => id));
      for (const { id, state } of items) assert.equal(history.get(id)?.at(-1)?.to, state);
      assert.deepEqual(
        items.filter(({ state }) => state === 'FAILED').map(({ errors }) => errors),
        [['no space left'], ['no space left']],
      );
    });

    /** The broker may still be starting. */
    async function simulatedFleetWhenUp(connect: () => ReturnType<typeof simulatedFleet>) {
      for (;;) {
        try {
          const made = await connect();
          later(() => made.close());
          return made;
        } catch {
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
    }
  });
});
