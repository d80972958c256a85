import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { FetchOutcome } from '../../lib/firmware/agent-ports.js';
import { fakeClock } from '../support/fake-clock.js';
import { AgentBench, cancelMessage, Disk, deployment, updateMessage } from '../support/firmware-agent.js';

const DEPLOYMENTS = 3;
const HOUR_MS = 60 * 60 * 1000;
/** Both fit between two kills, and can pass in a schedule. */
const SETTINGS = { downloadMs: 2 * HOUR_MS, installMs: HOUR_MS };

const OUTCOMES: FetchOutcome[] = [
  { outcome: 'ready' },
  { outcome: 'ready' },
  { outcome: 'ready' },
  { outcome: 'interrupted', reason: 'lost', progressed: true },
  { outcome: 'wrong', errors: ['altered'], pieced: true },
  { outcome: 'wrong', errors: ['altered'], pieced: false },
  { outcome: 'refused', errors: ['gone'] },
];

type Step =
  /** Deliver one of what the backend has sent, which is never used up: repeated and in any order. */
  | { do: 'update' | 'cancel' | 'installed' | 'failed' | 'cancelled'; number: number }
  | { do: 'fetched'; outcome: number }
  | { do: 'pass'; ms: number }
  | { do: 'version'; version: string }
  | { do: 'commit' | 'kill' | 'connect' | 'disconnect' };

const about = (...kinds: ('update' | 'cancel' | 'installed' | 'failed' | 'cancelled')[]) =>
  fc.record({ do: fc.constantFrom(...kinds), number: fc.nat({ max: DEPLOYMENTS - 1 }) });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: about('update') },
  { weight: 2, arbitrary: about('cancel') },
  { weight: 3, arbitrary: about('installed', 'failed', 'cancelled') },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('fetched' as const),
      outcome: fc.nat({ max: OUTCOMES.length - 1 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('commit' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(2_000, 10 * 60_000, HOUR_MS, 3 * HOUR_MS),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('version' as const), version: fc.constantFrom('0.9.0', '1.0.0') }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('kill' as const, 'connect' as const, 'disconnect' as const) }),
  },
);

/** A controller whose process is killed again and again, and all that it has ever done. */
class Site {
  readonly disk = new Disk();
  readonly clock = fakeClock();
  bench!: AgentBench;
  /** Files handed on, over all lives. */
  readonly installs: string[] = [];
  /** Deployments whose last outcome was that every check has passed. */
  readonly passed = new Set<string>();
  /** Ends, as they were said. */
  readonly ends = new Map<string, Set<string>>();
  /** A cancel was stored before the file was handed on. */
  readonly cancelled = new Set<string>();

  async start(): Promise<void> {
    this.disk.held = false;
    this.disk.waiting.length = 0;
    this.bench = new AgentBench({ disk: this.disk, clock: this.clock, settings: SETTINGS });
    await this.bench.agent.start();
    await this.bench.settle();
    this.disk.held = true;
  }

  /** What has happened since the last look. */
  look(): void {
    for (const { record, stored } of this.bench.installs.splice(0)) {
      const { deploymentId } = record;
      assert.ok(!this.installs.includes(deploymentId), 'handed on twice');
      assert.ok(this.passed.has(deploymentId), 'handed on without its checks');
      assert.ok(!this.cancelled.has(deploymentId), 'handed on after a cancel');
      assert.equal(stored, 'installing', 'handed on before it was stored');
      this.installs.push(deploymentId);
    }
    for (const { message } of this.bench.said.splice(0)) {
      const { deploymentId, type } = message;
      const stored = this.disk.records.get(deploymentId);
      assert.ok(stored, 'said before it was stored');
      if (type === 'update_firmware_ack') continue;
      const text = type === 'update_firmware_failed' ? `${type} ${message.errors.join()}` : type;
      this.ends.set(deploymentId, (this.ends.get(deploymentId) ?? new Set()).add(text));
    }
    for (const { deploymentId, status } of this.disk.records.values()) {
      if (status === 'cancelled' && !this.installs.includes(deploymentId)) this.cancelled.add(deploymentId);
    }
  }

  async take(next: Step): Promise<void> {
    const { bench, disk } = this;
    const quietly = (promise: Promise<void>) => void promise.catch(() => {});
    switch (next.do) {
      case 'update':
        quietly(
          bench.agent.handle({ payload: updateMessage(deployment(next.number), versionOf(next.number)) }),
        );
        break;
      case 'cancel':
        quietly(bench.agent.handle({ payload: cancelMessage(deployment(next.number)) }));
        break;
      case 'installed':
      case 'cancelled':
        quietly(bench.agent.answer(deployment(next.number), { result: next.do }));
        break;
      case 'failed':
        quietly(bench.agent.answer(deployment(next.number), { result: 'failed', errors: ['broken'] }));
        break;
      case 'fetched': {
        const fetching = bench.folder.fetches[0];
        const outcome = OUTCOMES[next.outcome] as FetchOutcome;
        if (fetching === undefined) break;
        if (outcome.outcome === 'ready') this.passed.add(fetching.deploymentId);
        else this.passed.delete(fetching.deploymentId);
        fetching.end(outcome);
        break;
      }
      case 'version':
        quietly(bench.agent.installed(next.version));
        break;
      case 'commit':
        disk.waiting.shift()?.commit();
        break;
      case 'pass':
        this.clock.advance(next.ms);
        break;
      case 'connect':
        bench.connected = true;
        for (const send of bench.unsent.splice(0)) send();
        break;
      case 'disconnect':
        bench.connected = false;
        break;
      case 'kill':
        // Nothing of it lives on: not what it waits for, nor what it was about to do.
        bench.agent.close().catch(() => {});
        await bench.settle();
        this.look();
        await this.start();
        break;
    }
    await this.bench.settle();
    this.look();
  }
}

const versionOf = (number: number) => ({ firmwareVersion: `1.0.${number + 1}` });

describe('an agent that is killed at any step, told things twice, late, and in any order', () => {
  it('hands a file on at most once, only checked, never cancelled, and has one end a deployment', async function () {
    this.timeout(120_000);
    let installs = 0;
    let ends = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }), async (steps) => {
        const site = new Site();
        await site.start();
        for (const next of steps) await site.take(next);

        // Everything is stored, said, and given the time to end.
        site.bench.connected = true;
        for (const send of site.bench.unsent.splice(0)) send();
        site.disk.held = false;
        for (let turn = 0; turn < 4; turn += 1) {
          while (site.disk.waiting.length > 0) await site.take({ do: 'commit' });
          await site.take({ do: 'pass', ms: 3 * HOUR_MS });
        }
        const stored = new Map(site.disk.records);
        for (const [deploymentId, record] of stored) {
          assert.ok(
            ['completed', 'failed', 'cancelled'].includes(record.status),
            `${record.status} for ever`,
          );
          assert.deepEqual(record.replies, [], 'something was never said');
          assert.equal(site.ends.get(deploymentId)?.size, 1, 'an end, and one');
          // Repeated now, and after another restart: the same.
          for (const payload of [updateMessage(deploymentId), cancelMessage(deploymentId)]) {
            await site.bench.agent.handle({ payload });
            await site.bench.settle();
            site.look();
          }
          assert.equal(site.ends.get(deploymentId)?.size, 1, 'another end');
          assert.equal(site.disk.records.get(deploymentId)?.status, record.status);
        }
        assert.equal(site.bench.folder.fetches.length, 0);
        assert.equal(site.clock.timers, 0);
        installs += site.installs.length;
        ends += stored.size;
      }),
      { numRuns: 2_000 },
    );
    // The schedules do reach what they are about.
    assert.ok(installs > 300 && ends > 2_000, `${installs} installations, ${ends} ends`);
  });
});
