import assert from 'node:assert/strict';
import { FieldloomError } from '../../lib/core/errors.js';
import { LEASE_MS, RENEW_MS } from '../../lib/core/lease.js';
import type { Link } from '../../lib/core/link.js';
import { silentLog } from '../../lib/core/log.js';
import type { TaskRow } from '../../lib/core/task-holder.js';
import { format } from '../../lib/firmware/codec.js';
import type { Arrival } from '../../lib/firmware/inbox.js';
import { createSharedRollouts } from '../../lib/firmware/shared-rollouts.js';
import { gatedLink } from '../../lib/mqtt/gated-link.js';
import { settle, testLink } from '../support/command.js';
import { fakeClock } from '../support/fake-clock.js';
import { IMAGE, testFiles } from '../support/firmware.js';
import { modelFirmwareStore } from '../support/firmware-model.js';
import { gatewayOf, leaseRows, standstill } from '../support/gateways.js';

const STORE_ID = '6ba7b811-9dad-11d1-80b4-00c04fd430c8';
const controllerId = (index: number) => `6ba7b810-9dad-11d1-80b4-00c04fd430c${index}`;
const TAKEN_OVER_MS = LEASE_MS + 3 * RENEW_MS;

interface Sent {
  by: string;
  type: string;
  deployment: string;
}

async function twoGateways() {
  const clock = fakeClock();
  const store = modelFirmwareStore();
  const rows = leaseRows();
  const sent: Sent[] = [];
  let held: { lease: string; term: number } | undefined;
  const task: TaskRow = {
    read: async () => held,
    async take(lease, term) {
      if ((held?.term ?? 0) !== term) return false;
      held = { lease, term: term + 1 };
      return true;
    },
  };

  async function gateway(name: string) {
    const process = standstill(clock);
    const gateways = gatewayOf(name, rows, process);
    const link = testLink({
      confirms: true,
      onPublish({ payload }) {
        const message = JSON.parse(payload) as { event_type: string; payload: { deployment_id: string } };
        sent.push({ by: name, type: message.event_type, deployment: message.payload.deployment_id });
      },
    }) as unknown as Link;
    const rollouts = createSharedRollouts({
      ...{ store: process.through(store), files: testFiles, link, clock: process.clock, log: silentLog },
      ...{ gateways, task: process.through(task), gated: () => false },
      storeAt: (term) =>
        process.through(
          store.at(() => {
            if (held?.term !== term) throw new FieldloomError('store_conflict', 'another term');
          }),
        ),
      gate: (may) => gatedLink(link, gateways, may),
    });
    const started = rollouts.start();
    await pass(500);
    await started;
    return { process, gateways, rollouts };
  }

  async function pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      clock.advance(Math.min(left, 500));
      for (let turn = 0; turn < 4; turn += 1) {
        await settle();
        await store.settle();
      }
    }
  }

  const a = await gateway('a');
  const b = await gateway('b');
  await pass(2 * RENEW_MS);
  /** Lets time go on until it is done. */
  async function done<T>(work: Promise<T>): Promise<T> {
    let over = false;
    work.then(
      () => {
        over = true;
      },
      () => {
        over = true;
      },
    );
    for (let turn = 0; turn < 20 && !over; turn += 1) await pass(500);
    return work;
  }
  return {
    ...{ a, b, store, sent, pass, done },
    create: (by: typeof a, targets: number) =>
      done(
        by.rollouts.create(
          {
            ...{ image_id: IMAGE.imageId, start: true },
            targets: Array.from({ length: targets }, (_, index) => ({
              store_id: STORE_ID,
              controller_id: controllerId(index),
            })),
            stages: [{ percent: 100, success_threshold: 1, error_threshold: 0.5 }],
          },
          'ann',
        ),
      ),
    /** All gateways, or these, hear what controllers say of each deployment that they were sent. */
    async answer(type: 'update_firmware_ack' | 'update_firmware_completed', by = [a, b]) {
      for (const deploymentId of new Set(sent.map(({ deployment }) => deployment))) {
        const id = store.deployments.get(deploymentId)?.controllerId as string;
        const timestamp = clock.now();
        const envelope = { storeId: STORE_ID, controllerId: id, version: '1.0.0', correlationId: null };
        const arrival: Arrival = {
          topic: `/stores/${STORE_ID}/controllers/${id}/${type.endsWith('_ack') ? 'ack' : 'action'}`,
          payload: Buffer.from(format({ type, deploymentId, ...envelope, timestamp })),
          receivedAt: timestamp,
        };
        await done(Promise.all(by.map(({ rollouts }) => rollouts.handle(arrival))));
      }
    },
    async end() {
      a.process.goOn();
      b.process.goOn();
      await pass(RENEW_MS);
      await done(Promise.all([a.rollouts.close(), b.rollouts.close()]));
      await done(Promise.all([a.gateways.leave(), b.gateways.leave()]));
    },
  };
}

const statesOf = (store: ReturnType<typeof modelFirmwareStore>) =>
  [...store.deployments.values()].map(({ state }) => state);

describe('rollouts of several gateways', () => {
  it('are driven by one of them, which all gateways ask', async () => {
    const { a, b, create, answer, sent, store, pass, end } = await twoGateways();
    const { plan } = await create(a, 2);
    await pass(1_000);
    assert.deepEqual(
      sent.map(({ by }) => by),
      ['a', 'a'],
    );
    await answer('update_firmware_ack');
    await answer('update_firmware_completed');
    await pass(1_000);
    assert.deepEqual(statesOf(store), ['COMPLETED', 'COMPLETED']);
    assert.equal(store.rollouts.get(plan.id)?.rollout.state, 'COMPLETED');
    assert.equal(store.lines.filter(({ event }) => event === 'acknowledged').length, 2, 'each counts once');
    // A person's action makes another gateway the driver.
    await create(b, 3);
    await pass(1_000);
    assert.ok(sent.slice(2).every(({ by }) => by === 'b'));
    assert.equal(b.rollouts.count().rollouts, 1);
    assert.equal(a.rollouts.count().rollouts, 0);
    await end();
  });

  it('go on by another gateway, with the same deployments and with what it had heard', async () => {
    const { a, b, create, answer, sent, store, pass, end } = await twoGateways();
    await create(a, 3);
    await pass(1_000);
    await answer('update_firmware_ack');
    a.process.stop();
    await pass(500);
    await answer('update_firmware_completed', [b]);
    assert.deepEqual(statesOf(store), ['IN_PROGRESS', 'IN_PROGRESS', 'IN_PROGRESS']);
    await pass(TAKEN_OVER_MS);
    assert.deepEqual(statesOf(store), ['COMPLETED', 'COMPLETED', 'COMPLETED']);
    assert.equal([...store.rollouts.values()][0]?.rollout.state, 'COMPLETED');
    assert.equal(sent.length, 3, 'nothing was sent again');
    await end();
  });

  it('are sent again by the one that took them over alone, whatever the other one does when it wakes', async () => {
    const { a, create, sent, store, pass, end } = await twoGateways();
    await create(a, 2);
    await pass(1_000);
    a.process.stop();
    await pass(TAKEN_OVER_MS + 40_000);
    const before = sent.length;
    assert.ok(before > 2, 'the retries have begun');
    assert.ok(sent.slice(2).every(({ by }) => by === 'b'));
    const lines = store.lines.length;
    a.process.goOn();
    await pass(2_000);
    assert.equal(store.lines.length, lines, 'what it still does is void');
    await pass(300_000);
    assert.ok(sent.slice(before).every(({ by }) => by === 'b'));
    assert.equal(new Set(sent.map(({ deployment }) => deployment)).size, 2);
    await end();
  });
});
