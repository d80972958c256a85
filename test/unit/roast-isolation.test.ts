import assert from 'node:assert/strict';
import { silentLog } from '../../lib/core/log.js';
import type { RoastDriver } from '../../lib/roast/driver.js';
import { openRoastery, type Roastery } from '../../lib/roast/roastery.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';
import { command, FakeWatcher, memoryRoastStore, settled } from '../support/roast-machine.js';

type Call = 'connect' | 'read' | 'write' | 'disconnect';
type Fault = 'throws' | 'rejects' | 'hangs';

function driver(now: () => number, faults: Partial<Record<Call, Fault>> = {}): RoastDriver {
  const answer = <T>(call: Call, give: () => T): Promise<T> => {
    switch (faults[call]) {
      case 'throws':
        throw new Error(`${call} throws`);
      case 'rejects':
        return Promise.reject(new Error(`${call} rejects`));
      case 'hangs':
        return new Promise(() => {});
      default:
        return Promise.resolve(give());
    }
  };
  return {
    name: 'Test',
    pace: 'asked',
    connect: () => answer('connect', () => undefined),
    disconnect: () => answer('disconnect', () => undefined),
    read: () => answer('read', () => ({ takenMs: now(), bt: 150, et: 200, extra: {} })),
    write: (_channel, value) => answer('write', () => value),
    channels: () => ['burner'],
  };
}

/** A gateway with machine A, which works, and machine B, which has these faults. */
async function gateway(clock: FakeClock, faults: Partial<Record<Call, Fault>>): Promise<Roastery> {
  const begun = clock.now() - 5_000;
  const now = () => clock.now() - begun;
  const { store } = memoryRoastStore();
  let ids = 0;
  const roastery = await openRoastery({
    store,
    profiles: { profile: async () => undefined },
    driver: ({ id }) => driver(now, id === 'b' ? faults : {}),
    clock,
    steadyNow: now,
    newId: () => {
      ids += 1;
      return `id-${ids}`;
    },
    log: silentLog,
    tell: () => {},
  });
  await roastery.add({ id: 'a', name: 'A', driver: 'flow' });
  await roastery.add({ id: 'b', name: 'B', driver: 'flow' });
  return roastery;
}

/** What a client of machine A sees in a minute, with the time at which it came. */
async function minute(faults: Partial<Record<Call, Fault>>) {
  const clock = fakeClock();
  const roastery = await gateway(clock, faults);
  const seen: [atMs: number, timestampMs: number][] = [];
  const begun = clock.now();
  const watcher = new FakeWatcher();
  watcher.onText = (text) => {
    const message = JSON.parse(text) as { type: string; timestamp_ms: number };
    if (message.type === 'temperature') seen.push([clock.now() - begun, message.timestamp_ms]);
  };
  for (const id of ['b', 'a']) {
    roastery.connect(id).catch(() => {}); // B may not be there
    const machine = roastery.machine(id);
    const client = machine.join(id === 'a' ? watcher : new FakeWatcher(), `client-of-${id}`);
    for (const message of [command('start_monitoring'), command('start_recording')]) {
      machine.hear(client, Buffer.from(JSON.stringify(message)));
    }
  }
  const acks: string[] = [];
  for (let step = 0; step < 600; step += 1) {
    clock.advance(100);
    if (step % 100 === 50) {
      for (const id of ['b', 'a']) {
        void roastery
          .machine(id)
          .set('burner', 0.5)
          .then(({ applied }) => acks.push(`${id} ${applied}`));
      }
    }
    await settled();
  }
  await Promise.race([roastery.close(), settled().then(() => clock.advance(5_000))]);
  return { seen, acks: acks.filter((ack) => ack.startsWith('a')) };
}

describe('two machines of one gateway', () => {
  for (const call of ['connect', 'read', 'write', 'disconnect'] as const) {
    for (const fault of ['throws', 'rejects', 'hangs'] as const) {
      it(`A gives each reading at its time and takes its controls while ${call} of B ${fault}`, async () => {
        const alone = await minute({});
        const beside = await minute({ [call]: fault });
        assert.ok(alone.seen.length >= 60);
        assert.deepEqual(beside, alone);
        assert.deepEqual(beside.acks, new Array(6).fill('a true'));
      });
    }
  }
});
