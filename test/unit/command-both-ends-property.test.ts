import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { createDispatcher } from '../../lib/command/dispatcher.js';
import { createProfile } from '../../lib/command/profile.js';
import { createFaultyLine } from '../../lib/core/faulty-line.js';
import { type LinkFaults, NO_FAULTS } from '../../lib/core/link-faults.js';
import { silentLog } from '../../lib/core/log.js';
import { modelStore } from '../support/command.js';
import { fakeClock } from '../support/fake-clock.js';
import { DEVICE, type Device, device, SENT_AT, seenStore, TOPICS } from '../support/responder.js';

const STEP_MS = 500;
const COMMANDS = 4;

const faults: fc.Arbitrary<LinkFaults> = fc.record(
  {
    drop: fc.constantFrom(0, 0.2, 0.5),
    repeat: fc.constantFrom(0, 0.5),
    delay: fc.constantFrom(0, 0.5),
    minDelayMs: fc.constant(100),
    maxDelayMs: fc.constantFrom(1_000, 15_000),
    reorder: fc.constantFrom(0, 0.5),
  },
  { noNullPrototype: true },
);

/** A gateway and a device on one clock, with a line for each direction between them. */
async function site(there: LinkFaults, back: LinkFaults, seed: number) {
  const clock = fakeClock(SENT_AT);
  const rows = modelStore();
  const disk = seenStore();
  const acts: string[] = [];
  let anomalies = 0;
  let current: Device;

  const commands = createFaultyLine<string>({
    faults: there,
    seed,
    clock,
    arrived: (payload) => void current.handle(payload).catch(() => {}),
    dropped() {},
  });
  const answers = createFaultyLine<Buffer>({
    faults: back,
    seed: seed + 1,
    clock,
    arrived(payload) {
      const arrival = { topic: TOPICS.ack, payload, receivedAt: clock.now() };
      void dispatcher.handle(arrival).catch(() => {});
    },
    dropped() {},
  });
  const dispatcher = createDispatcher({
    name: 'ponds',
    profile: createProfile({ profile: 'pond' }),
    store: rows,
    link: {
      state: 'connected',
      onState: () => () => {},
      async publish(_topic, payload) {
        commands.send(String(payload));
      },
    },
    clock,
    log: silentLog,
  });
  dispatcher.listen({
    anomaly: () => {
      anomalies += 1;
    },
  });

  function start() {
    current = device(disk, {
      clock,
      link: {
        async publish(_topic, payload) {
          answers.send(Buffer.from(payload as string));
        },
      },
    });
    const { responder } = current;
    responder.listen({
      command({ commandId }) {
        acts.push(commandId);
        // It takes two seconds to feed; the last of four commands fails.
        const success = acts.length % 4 !== 0;
        clock.setTimer(() => void responder.answer(commandId, { success }).catch(() => {}), 2_000);
      },
    });
    responder.start().catch(() => {});
  }
  start();
  await dispatcher.start();

  return {
    dispatcher,
    rows,
    acts,
    get anomalies() {
      return anomalies;
    },
    async pass(writes: number) {
      clock.advance(STEP_MS);
      for (let turn = 0; turn < 4; turn += 1) await setImmediate();
      for (let write = 0; write < writes; write += 1) await disk.step();
    },
    cut(committing: boolean) {
      if (committing) disk.commitUnheard();
      else disk.kill();
      void current.responder.close().catch(() => {});
      start();
    },
  };
}

describe('a gateway and a device behind a bad network, whose power fails', () => {
  it('never act twice, never contradict each other, and the gateway’s word is what happened', async () => {
    const ended: Record<string, number> = {};
    await fc.assert(
      fc.asyncProperty(
        faults,
        faults,
        fc.nat(),
        fc.array(fc.record({ at: fc.nat({ max: 120 }), committing: fc.boolean() }), { maxLength: 3 }),
        async (there, back, seed, cuts) => {
          const all = await site(there, back, seed);
          const ids: string[] = [];
          for (let index = 0; index < COMMANDS; index += 1) {
            const { id } = await all.dispatcher.submit({
              device: DEVICE,
              commandType: 'FEED',
              parameters: { action: 'feed', amount: 100 },
              values: { pond_position: 1 },
            });
            ids.push(id);
          }
          const open = () => ids.some((id) => all.rows.commands.get(id)?.completedAt === null);
          for (let step = 0; step < 600 && (open() || step < 150); step += 1) {
            for (const { at, committing } of cuts) if (at === step) all.cut(committing);
            await all.pass(step % 3);
          }
          for (const id of ids) {
            const command = all.rows.commands.get(id);
            const acted = all.acts.filter((each) => each === id).length;
            assert.ok(acted <= 1, `${id} acted ${acted} times`);
            assert.notEqual(command?.completedAt, null, 'it has ended');
            if (command?.status === 'COMPLETED') assert.equal(acted, 1, 'what is completed was done');
            const key = `${command?.status} ${command?.reason ?? ''} ${command?.message === 'outcome unknown' ? 'unknown' : ''}`;
            ended[key] = (ended[key] ?? 0) + 1;
          }
          assert.equal(all.anomalies, 0);
          await all.dispatcher.close();
        },
      ),
      { numRuns: 150 },
    );
    for (const key of ['COMPLETED  ', 'FAILED device ', 'FAILED device unknown', 'FAILED timeout ']) {
      assert.ok((ended[key] ?? 0) > 0, `${key} happens: ${JSON.stringify(ended)}`);
    }
  });

  it('lose no command where the network is only slow', async () => {
    const slow = { ...NO_FAULTS, delay: 1, minDelayMs: 100, maxDelayMs: 3_000, repeat: 0.5 };
    const all = await site(slow, slow, 1);
    const { id } = await all.dispatcher.submit({
      device: DEVICE,
      commandType: 'FEED',
      parameters: { action: 'feed', amount: 100 },
      values: { pond_position: 1 },
    });
    for (let step = 0; step < 60; step += 1) await all.pass(5);
    assert.equal(all.rows.commands.get(id)?.status, 'COMPLETED');
    assert.deepEqual(all.acts, [id]);
    await all.dispatcher.close();
  });
});
