import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import WebSocket from 'ws';
import {
  failing,
  IMAGE,
  obedient,
  simulatedFleet,
  type TestController,
  targetsOf,
} from '../support/firmware.js';
import { eventually } from '../support/gateway.js';
import { RolloutGateway } from '../support/rollout-gateway.js';

interface Deployment {
  id: string;
  controller_id: string;
  state: string;
  errors: string[];
  history: { event: string; from: string | null; to: string }[];
}

const ALL = { percent: 100, success_threshold: 1, error_threshold: 0.5 };
const request = (controllers: readonly TestController[], given: object = {}) => ({
  ...{ image_id: IMAGE.imageId, targets: targetsOf(controllers), stages: [ALL], start: true },
  ...given,
});

describe('firmware rollouts of a real gateway', function () {
  this.timeout(120_000);
  let gateway: RolloutGateway;
  const bobStore = randomUUID();
  const closing: (() => Promise<void>)[] = [];

  before(async () => {
    gateway = await RolloutGateway.create({ bobStore, ackTimeout: '1' });
    await gateway.start();
  });
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });
  after(() => gateway.remove());

  /** The broker may still be starting. */
  const fleet = (
    ...parameters: Parameters<typeof simulatedFleet> extends [string, infer _, ...infer Rest] ? Rest : never
  ) =>
    eventually(async () => {
      const made = await simulatedFleet(gateway.mqttUrl, gateway.service, ...parameters);
      closing.push(() => made.close());
      return made;
    }, 'a connection');
  const create = async (body: object, as = 'ann') => gateway.ask('POST', '/firmware/rollouts', { as, body });
  const reaches = (id: string, state: string) =>
    eventually(async () => {
      const { body } = await gateway.ask('GET', `/firmware/rollouts/${id}`);
      return body.state === state ? body : undefined;
    }, `${state} of the rollout`);
  const deploymentsOf = async (id: string, query = '') =>
    (await gateway.ask('GET', `/firmware/rollouts/${id}/deployments${query}`)).body.items as Deployment[];

  it('go to their end although the gateway is killed in the middle, and ask no controller twice for nothing', async () => {
    let acknowledged = 0;
    const finish: (() => void)[] = [];
    const { controllers } = await fleet(20, () => (message, controller) => {
      if (message.event_type !== 'update_firmware') return;
      acknowledged += 1;
      void controller.say('update_firmware_ack', message);
      finish.push(() => void controller.say('update_firmware_completed', message));
    });
    const stages = [
      { percent: 25, success_threshold: 1, error_threshold: 0.5 },
      { percent: 100, success_threshold: 1, error_threshold: 0.5 },
    ];
    const made = await create(request(controllers, { stages }));
    assert.equal(made.status, 201);
    const { id } = made.body;
    await eventually(async () => acknowledged >= 5 || undefined, 'the first stage');
    await gateway.kill();
    await gateway.start();
    for (const done of finish.splice(0)) done();
    await eventually(async () => acknowledged >= 10 || undefined, 'the second stage');
    await gateway.kill();
    const timer = setInterval(() => {
      for (const done of finish.splice(0)) done();
    }, 50);
    closing.push(async () => clearInterval(timer));
    await gateway.start();
    const done = await reaches(id, 'COMPLETED');
    assert.deepEqual(done.counts, { COMPLETED: 20 });
    for (const deployment of await deploymentsOf(id)) {
      assert.equal(deployment.history.at(-1)?.to, 'COMPLETED');
      assert.equal(deployment.history.filter(({ event }) => event === 'sent').length, 1);
    }
    for (const { received } of controllers) {
      assert.equal(new Set(received.map(({ payload }) => payload.deployment_id)).size, 1);
    }
  });

  it('are aborted by errors, told by REST field for field, and retried with new deployments', async () => {
    let behaviour = failing;
    const { controllers } = await fleet(4, () => (message, controller) => behaviour(message, controller));
    const { body } = await create(
      request(controllers, { stages: [{ ...ALL, error_threshold: 0.25 }], max_in_progress: 1 }),
    );
    await reaches(body.id, 'ABORTED');
    const [failed] = await deploymentsOf(body.id, '?state=FAILED');
    assert.ok(failed);
    const { body: one } = await gateway.ask('GET', `/firmware/deployments/${failed.id}`);
    assert.deepEqual(
      [one.id, one.rollout_id, one.state, one.errors, one.late, one.cancel_lost, one.diverged, one.stuck],
      [failed.id, body.id, 'FAILED', ['no space left'], false, false, false, false],
    );
    assert.deepEqual(
      one.history.map(({ event }: { event: string }) => event),
      ['scheduled', 'sent', 'acknowledged', 'failed'],
    );
    const refused = await gateway.ask('POST', `/firmware/deployments/${failed.id}/cancel`, { as: 'ann' });
    assert.deepEqual([refused.status, refused.body.error.details.state], [409, 'FAILED']);

    behaviour = obedient;
    const retried = await gateway.ask('POST', `/firmware/rollouts/${body.id}/retry`, { as: 'ann' });
    assert.deepEqual([retried.status, retried.body.state], [200, 'RUNNING']);
    await reaches(body.id, 'COMPLETED');
    const all = await deploymentsOf(body.id);
    const again = all.filter(({ controller_id }) => controller_id === failed.controller_id);
    assert.deepEqual(
      again.map(({ state }) => state),
      ['FAILED', 'COMPLETED'],
    );
  });

  it('pause, resume, and cancel what is under way', async () => {
    const { controllers } = await fleet(3, (index) => (index === 0 ? obedient : undefined));
    const stages = [
      { percent: 34, success_threshold: 0.5, error_threshold: 0.5, approval: true },
      { percent: 100, success_threshold: 1, error_threshold: 0.5 },
    ];
    const { body } = await create(request(controllers, { stages, start: false, ack_timeout_s: 60 }));
    assert.equal(body.state, 'DRAFT');
    const act = async (name: string) =>
      gateway.ask('POST', `/firmware/rollouts/${body.id}/${name}`, { as: 'ann' });
    assert.equal((await act('approve')).status, 409);
    assert.equal((await act('start')).status, 200);
    assert.equal((await act('pause')).body.state, 'PAUSED');
    assert.equal((await act('resume')).status, 200);
    await eventually(async () => {
      const found = (await gateway.ask('GET', `/firmware/rollouts/${body.id}`)).body;
      return found.state === 'WAITING_APPROVAL' || found.counts.SENT > 0 || undefined;
    }, 'the first stage');
    const cancelled = await act('cancel');
    assert.equal(cancelled.body.state, 'CANCELLED');
    assert.equal((await act('cancel')).status, 409);
    assert.equal((await act('resume')).status, 409);
  });

  it('may be made and seen by whom the stores belong to', async () => {
    const { controllers } = await fleet(1);
    const foreign = await create(request(controllers), 'bob');
    assert.deepEqual([foreign.status, foreign.body.error.code], [403, 'forbidden']);
    const nobody = await gateway.ask('POST', '/firmware/rollouts', { body: request(controllers) });
    assert.equal(nobody.status, 401);
    const target = { store_id: bobStore, controller_id: randomUUID() };
    const own = await create({ ...request([]), targets: [target], start: false }, 'bob');
    assert.equal(own.status, 201);
    const { body: anns } = await create(request(controllers));
    const list = await gateway.ask('GET', '/firmware/rollouts', { as: 'bob' });
    assert.deepEqual(
      list.body.items.map(({ id }: { id: string }) => id),
      [own.body.id],
    );
    assert.equal((await gateway.ask('GET', `/firmware/rollouts/${anns.id}`, { as: 'bob' })).status, 403);
    assert.equal(
      (await gateway.ask('POST', `/firmware/rollouts/${anns.id}/cancel`, { as: 'bob' })).status,
      403,
    );
    const [deployment] = await deploymentsOf(anns.id);
    const path = `/firmware/deployments/${deployment?.id}`;
    assert.equal((await gateway.ask('GET', path, { as: 'bob' })).status, 403);
    assert.equal((await gateway.ask('POST', `${path}/cancel`, { as: 'bob' })).status, 403);
    assert.equal((await gateway.ask('GET', `/firmware/rollouts/${randomUUID()}`)).status, 404);
    assert.equal((await gateway.ask('GET', `/firmware/deployments/${randomUUID()}`)).status, 404);
  });

  it('are told live: a snapshot first, then each deployment and the sums', async () => {
    const { controllers } = await fleet(2);
    const { body } = await create(request(controllers, { start: false }));
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/realtime/firmware/${body.id}`);
    closing.push(async () => socket.terminate());
    const messages: { type: string; rollout_id: string; data: { state: string } }[] = [];
    socket.on('message', (data) => messages.push(JSON.parse(String(data))));
    await once(socket, 'message');
    assert.deepEqual(
      [messages[0]?.type, messages[0]?.rollout_id, messages[0]?.data.state],
      ['snapshot', body.id, 'DRAFT'],
    );
    await gateway.ask('POST', `/firmware/rollouts/${body.id}/start`, { as: 'ann' });
    await eventually(
      async () =>
        messages.some(({ type, data }) => type === 'rollout' && data.state === 'COMPLETED') || undefined,
      'the last sums',
    );
    assert.equal(
      messages.filter(({ type, data }) => type === 'deployment' && data.state === 'COMPLETED').length,
      2,
    );
    const unknown = new WebSocket(`${gateway.url.replace('http', 'ws')}/realtime/firmware/${randomUUID()}`);
    assert.equal((await once(unknown, 'close'))[0], 4404);
  });

  it('take ten thousand targets in one request', async () => {
    const targets = Array.from({ length: 10_000 }, () => ({
      store_id: bobStore,
      controller_id: randomUUID(),
    }));
    const made = await create({ ...request([]), targets, start: false });
    assert.deepEqual(
      [made.status, made.body.targets, made.body.counts],
      [201, 10_000, { SCHEDULED: 10_000 }],
    );
    const page = await gateway.ask(
      'GET',
      `/firmware/rollouts/${made.body.id}/deployments?stage=0&limit=1000`,
    );
    assert.equal(page.body.items.length, 1000);
    assert.notEqual(page.body.next_cursor, null);
  });

  it('say at which field a request is wrong', async () => {
    const answer = await create({ image_id: IMAGE.imageId, targets: [], stages: [ALL] });
    assert.deepEqual([answer.status, answer.body.error.details.pointer], [400, '/targets']);
    const unknown = await create({
      ...request([]),
      image_id: 'x',
      targets: [{ store_id: bobStore, controller_id: randomUUID() }],
    });
    assert.deepEqual([unknown.status, unknown.body.error.details.pointer], [400, '/image_id']);
    assert.equal((await gateway.ask('GET', '/firmware/rollouts?cursor=%00')).status, 400);
    const { body } = await gateway.ask('GET', '/firmware/rollouts?limit=1');
    const list = `/firmware/rollouts/${body.items[0].id}/deployments`;
    assert.equal((await gateway.ask('GET', `${list}?state=HAPPY`)).status, 400);
    assert.equal((await gateway.ask('GET', `${list}?stage=x`)).status, 400);
  });
});
