import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import type { Link } from '../../lib/core/link.js';
import { silentLog } from '../../lib/core/log.js';
import { format, parse } from '../../lib/firmware/codec.js';
import { isActive, isTerminal } from '../../lib/firmware/deployment-record.js';
import { createRollouts, type Rollouts } from '../../lib/firmware/rollouts.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';
import { IMAGE, testFiles } from '../support/firmware.js';
import { countsOfHistory, type ModelStore, modelFirmwareStore } from '../support/firmware-model.js';

const STORE_ID = '6ba7b811-9dad-11d1-80b4-00c04fd430c8';
const controllerId = (index: number) => `6ba7b810-9dad-11d1-80b4-00c04fd430c${index}`;

interface Packet {
  topic: string;
  payload: Buffer;
}

/** A controller as the document describes one: acts once for each deployment, and repeats its answers. */
class ModelController {
  readonly #answers = new Map<string, string[]>();
  #working: string | undefined;
  installed = '1.0.0';
  constructor(
    readonly id: string,
    readonly say: (type: string, deploymentId: string, correlationId: string | null) => void,
  ) {}

  hear(type: string, deploymentId: string): void {
    const known = this.#answers.get(deploymentId);
    if (type === 'update_firmware') {
      if (known === undefined) this.#working = deploymentId;
      const answers = known ?? ['update_firmware_ack'];
      this.#answers.set(deploymentId, answers);
      for (const answer of answers) this.say(answer, deploymentId, null);
      return;
    }
    if (
      known?.some((answer) => answer !== 'update_firmware_ack' && answer !== 'cancel_update_firmware_ack')
    ) {
      return; // too late: it has ended already
    }
    if (this.#working === deploymentId) this.#working = undefined;
    this.#answers.set(deploymentId, ['cancel_update_firmware_ack']);
    this.say('cancel_update_firmware_ack', deploymentId, null);
  }

  finish(well: boolean): void {
    const id = this.#working;
    if (id === undefined) return;
    this.#working = undefined;
    const end = well ? 'update_firmware_completed' : 'update_firmware_failed';
    if (well) this.installed = IMAGE.version;
    this.#answers.set(id, ['update_firmware_ack', end]);
    this.say(end, id, null);
  }

  /** It begins again with what it has not finished. */
  restart(): void {
    this.#working = [...this.#answers].findLast(
      ([, answers]) => answers.join() === 'update_firmware_ack',
    )?.[0];
  }
}

/** The whole of it: a gateway on a store, a network that loses, repeats and reorders, and controllers. */
class World {
  readonly store: ModelStore = modelFirmwareStore();
  readonly clock: FakeClock = fakeClock();
  readonly toControllers: Packet[] = [];
  readonly toGateway: Packet[] = [];
  readonly controllers: ModelController[];
  readonly passed = new Set<string>();
  readonly reported = new Set<string>();
  rolloutIds: string[] = [];
  rollouts!: Rollouts;

  constructor(
    count: number,
    readonly gated: boolean,
    readonly verify: boolean,
  ) {
    this.controllers = Array.from({ length: count }, (_, index) => {
      const id = controllerId(index);
      return new ModelController(id, (type, deploymentId) => {
        const channel = type.endsWith('_ack') ? 'ack' : 'action';
        const message = {
          ...{ type: type as 'update_firmware_failed', deploymentId, errors: ['no'] },
          ...{ storeId: STORE_ID, controllerId: id, version: '1.0.0', correlationId: null },
          timestamp: this.clock.now(),
        };
        const topic = `/stores/${STORE_ID}/controllers/${id}/${channel}`;
        this.toGateway.push({ topic, payload: Buffer.from(format(message)) });
      });
    });
    this.store.onLine((line) => this.#checkLine(line));
    this.start();
  }

  #checkLine({ subjectId, rolloutId, event, from, to }: ModelStore['lines'][number]): void {
    const { rollout, plan } = this.store.rollouts.get(rolloutId) ?? {};
    if (subjectId === rolloutId) return;
    if (from !== null && from !== to && isTerminal(from as never)) {
      assert.deepEqual([from, to], ['TIMED_OUT', 'COMPLETED'], 'the only way out of an end');
    }
    const deployment = this.store.deployments.get(subjectId);
    assert.ok(deployment && rollout && plan);
    if (event === 'sent' || event === 'sent_again') {
      if (event === 'sent')
        assert.ok(!['ABORTED', 'CANCELLED', 'DRAFT'].includes(rollout.state), 'not after abort');
      assert.ok(deployment.stage <= rollout.stage, 'its stage has started');
      if (deployment.stage === rollout.stage) assert.notEqual(rollout.phase, 'gate');
      if (this.gated) assert.ok(this.passed.has(`${rolloutId}/${deployment.stage}`), 'its gate has passed');
    }
    if (to === 'COMPLETED' && from !== to && this.verify && event !== 'already_installed') {
      assert.ok(this.reported.has(deployment.controllerId), 'it has reported the target version');
    }
    const busy = [...this.store.deployments.values()].filter(
      (each) => each.controllerId === deployment.controllerId && isActive(each.state),
    );
    assert.ok(busy.length <= 1, 'one active deployment a controller');
  }

  start(): void {
    const sent = this.toControllers;
    const link: Link = {
      state: 'connected',
      onState: () => () => {},
      subscribe: () => Promise.reject(new Error('not used')),
      publish: async (topic, payload) => {
        sent.push({ topic, payload: Buffer.from(payload as string) });
      },
    };
    this.rollouts = createRollouts({
      ...{ store: this.store, files: testFiles, link, clock: this.clock, log: silentLog },
      gated: () => this.gated,
      settings: { verifyMs: this.verify ? 600_000 : 0 },
    });
    // What rejects has said so to whoever asked.
    this.rollouts.start().catch(() => {});
  }

  async kill(): Promise<void> {
    // Timers of the dead process must not fire: its clock is gone with it.
    void this.rollouts.close();
    this.store.kill();
    await setImmediate();
    this.store.kill();
    this.start();
    await setImmediate();
  }

  /** Takes a packet out of a network, or leaves it in to come again. */
  pick(network: Packet[], at: number, again: boolean): Packet | undefined {
    if (network.length === 0) return undefined;
    const index = at % network.length;
    return again ? network[index] : network.splice(index, 1)[0];
  }

  deliverToController(packet: Packet): void {
    const [, , , , id = ''] = packet.topic.split('/');
    const ids = { store_id: STORE_ID, controller_id: id };
    const message = parse('action', ids, packet.payload, this.clock.now());
    this.controllers.find((each) => each.id === id)?.hear(message.type, message.deploymentId);
  }

  deliverToGateway(packet: Packet): void {
    this.rollouts.handle({ ...packet, receivedAt: this.clock.now() }).catch(() => {});
  }

  report(controller: ModelController): void {
    if (controller.installed === IMAGE.version) this.reported.add(controller.id);
    this.rollouts.reportVersion(STORE_ID, controller.id, controller.installed).catch(() => {});
  }
}

const share = fc.constantFrom(0, 0.3, 0.5, 1);
const stages = fc
  .array(
    fc.record({
      success_threshold: share,
      error_threshold: share,
      on_error: fc.constantFrom('cancel', 'pause'),
      soak_s: fc.constantFrom(0, 60),
      approval: fc.boolean(),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((list) =>
    list.map((stage, index) => ({ ...stage, percent: Math.round((100 * (index + 1)) / list.length) })),
  );
const request = fc.record({
  stages,
  supersede: fc.boolean(),
  max_in_progress: fc.constantFrom(1, 2, 1000),
});

const PERSON = ['start', 'pause', 'resume', 'approve', 'cancel', 'retry'] as const;
const step = fc.record({
  kind: fc.oneof(
    { weight: 10, arbitrary: fc.constant('commit' as const) },
    { weight: 8, arbitrary: fc.constantFrom('down' as const, 'up' as const) },
    { weight: 4, arbitrary: fc.constantFrom('finish' as const, 'time' as const) },
    { weight: 3, arbitrary: fc.constantFrom('gate' as const, 'report' as const, 'person' as const) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        ...(['lose', 'kill', 'restart', 'person', 'cancel one', 'force one'] as const),
      ),
    },
  ),
  pick: fc.nat(),
  flag: fc.boolean(),
});

async function act(
  world: World,
  { kind, pick, flag }: { kind: string; pick: number; flag: boolean },
): Promise<void> {
  const { rollouts, store, controllers } = world;
  const controller = controllers[pick % controllers.length] as ModelController;
  const rolloutId = world.rolloutIds[pick % world.rolloutIds.length] ?? '';
  const deployments = [...store.deployments.keys()];
  const deploymentId = deployments[pick % Math.max(1, deployments.length)] ?? '';
  const ignore = () => {};
  switch (kind) {
    case 'commit':
      return store.step(1 + (pick % 5));
    case 'down': {
      const packet = world.pick(world.toControllers, pick, flag && pick % 3 === 0);
      if (packet !== undefined) world.deliverToController(packet);
      return;
    }
    case 'up': {
      const packet = world.pick(world.toGateway, pick, flag && pick % 3 === 0);
      if (packet !== undefined) world.deliverToGateway(packet);
      break;
    }
    case 'lose':
      world.pick(flag ? world.toControllers : world.toGateway, pick, false);
      return;
    case 'finish':
      return controller.finish(flag || pick % 3 > 0);
    case 'time':
      world.clock.advance([1_000, 30_000, 60_000, 600_000, 3_600_000][pick % 5] as number);
      break;
    case 'kill':
      return world.kill();
    case 'restart':
      return controller.restart();
    case 'gate': {
      const { stage = 0 } = store.rollouts.get(rolloutId)?.rollout ?? {};
      if (flag) world.passed.add(`${rolloutId}/${stage}`);
      rollouts.act(rolloutId, { type: 'gate', stage, pass: flag }).catch(ignore);
      break;
    }
    case 'report':
      world.report(controller);
      break;
    case 'person': {
      const type = PERSON[pick % PERSON.length] as (typeof PERSON)[number];
      if (type === 'retry') rollouts.retry(rolloutId).catch(ignore);
      else rollouts.act(rolloutId, { type }).catch(ignore);
      break;
    }
    case 'cancel one':
      rollouts.cancelDeployment(deploymentId).catch(ignore);
      break;
    case 'force one':
      rollouts.forceDeployment(deploymentId).catch(ignore);
      break;
  }
  await setImmediate();
}

function checkCounts(world: World): void {
  for (const [id, { rollout }] of world.store.rollouts) {
    assert.deepEqual(
      rollout.counts.map(({ states }) => states),
      countsOfHistory(world.store, id),
      'counts are the fold of the history',
    );
    for (const [stage, { stuck }] of rollout.counts.entries()) {
      const stuckRows = [...world.store.deployments.values()].filter(
        (each) => each.rolloutId === id && each.stage === stage && each.stuck && each.retriedBy === null,
      );
      assert.equal(stuck, stuckRows.length);
    }
  }
}

describe('firmware rollouts with loss, repetition, reordering and restarts of both ends', function () {
  this.timeout(240_000); // thousands of schedules, on a machine that does other work too
  it('keep their promises in any order of events', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 4 }),
        fc.boolean(),
        fc.boolean(),
        fc.array(step, { minLength: 20, maxLength: 120 }),
        async (requests, count, gated, verify, steps) => {
          const world = new World(count, gated, verify);
          const targets = world.controllers.map(({ id }) => ({ store_id: STORE_ID, controller_id: id }));
          for (const body of requests) {
            const made = world.rollouts.create(
              { ...body, image_id: IMAGE.imageId, targets, start: true },
              null,
            );
            made.catch(() => {});
            await world.store.settle();
            world.rolloutIds.push((await made).plan.id);
          }
          for (const each of steps) await act(world, each);
          await world.store.settle();
          checkCounts(world);
          // In the end nothing is lost any more, and everything comes to its end.
          for (let round = 0; round < 60; round += 1) {
            for (const packet of world.toControllers.splice(0)) world.deliverToController(packet);
            for (const controller of world.controllers) controller.finish(true);
            for (const packet of world.toGateway.splice(0)) world.deliverToGateway(packet);
            await world.store.settle();
            for (const controller of world.controllers) world.report(controller);
            await world.store.settle();
            world.clock.advance(20 * 60_000);
            await world.store.settle();
          }
          checkCounts(world);
          for (const { state, stuck } of world.store.deployments.values()) {
            if (state !== 'SCHEDULED') assert.ok(isTerminal(state) || stuck, `it has ended, not ${state}`);
          }
          if (world.store.violations[0] !== undefined) throw world.store.violations[0];
          await world.rollouts.close();
        },
      ),
      { numRuns: Number(process.env['RUNS'] ?? 2000) },
    );
  });
});
