import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createRing } from '../../lib/roast/ring.js';

const reading = (atMs: number) => ({ atMs, text: String(atMs), reading: true });
const textsOf = ({ entries }: { entries: readonly { text: string }[] }) => entries.map(({ text }) => text);

describe('the ring of the last minute', () => {
  it('holds 60 s by time, at any rate', () => {
    for (const everyMs of [50, 100, 1_000, 5_000]) {
      const ring = createRing();
      ring.restart('s');
      for (let at = 0; at <= 300_000; at += everyMs) ring.add(reading(at));
      const { entries, gap } = ring.since({ lastMs: undefined, sessionId: undefined }, 300_000);
      assert.deepEqual([entries[0]?.atMs, entries.at(-1)?.atMs, gap], [240_000, 300_000, null]);
      assert.equal(entries.length, 60_000 / everyMs + 1);
    }
  });

  it('gives what is newer, in order, each once, and everything to another clock', () => {
    const ring = createRing();
    ring.restart('s');
    for (let at = 0; at <= 50_000; at += 1_000) ring.add(reading(at));
    const since = (lastMs: number | undefined, sessionId?: string) =>
      textsOf(ring.since({ lastMs, sessionId }, 50_500));
    assert.deepEqual(since(47_000), ['48000', '49000', '50000']);
    assert.deepEqual(since(50_000, 's'), []);
    assert.equal(since(47_000, 'another').length, 51, 'another session');
    assert.equal(since(51_000).length, 51, 'later than now: of another clock');
    assert.equal(since(undefined).length, 51);
    assert.equal(since(-1).length, 51);
  });

  it('says what it holds no more', () => {
    const ring = createRing();
    ring.restart('s');
    for (let at = 0; at <= 200_000; at += 1_000) ring.add(reading(at));
    assert.deepEqual(ring.since({ lastMs: 100_000, sessionId: 's' }, 200_000).gap, {
      fromMs: 100_000,
      toMs: 140_000,
    });
    assert.equal(ring.since({ lastMs: 139_000, sessionId: 's' }, 200_000).gap, null);
    const silent = ring.since({ lastMs: 150_000, sessionId: 's' }, 300_000);
    assert.deepEqual([silent.entries.length, silent.gap], [0, { fromMs: 150_000, toMs: 300_000 }]);
  });

  it('gives an event that came at the very time of a reading after it', () => {
    const ring = createRing();
    ring.restart('s');
    ring.add({ atMs: 1_000, text: 'shown by the reading', reading: false });
    ring.add(reading(1_000));
    ring.add({ atMs: 1_000, text: 'marked', reading: false });
    assert.deepEqual(textsOf(ring.since({ lastMs: 1_000, sessionId: 's' }, 1_000)), ['marked']);
  });

  it('forgets with a new clock what was told on the old one', () => {
    const ring = createRing();
    ring.restart('s');
    ring.add(reading(1_000));
    const { seq } = ring;
    ring.restart('t');
    ring.add(reading(10));
    assert.deepEqual(textsOf(ring.since({ lastMs: 1_000, sessionId: 's' }, 20)), ['10']);
    assert.deepEqual(ring.after(seq, 1_000), { entries: [{ ...reading(10), seq: seq + 1 }], gap: null });
  });

  it('answers with exactly the readings after any of them, or says that some are gone', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 100 }),
        fc.nat(),
        (steps, pick) => {
          const ring = createRing();
          ring.restart('s');
          const times: number[] = [];
          let now = 0;
          for (const step of steps) {
            now += step;
            times.push(now);
            ring.add(reading(now));
          }
          const index = pick % times.length;
          const { entries, gap } = ring.since({ lastMs: times[index] as number, sessionId: 's' }, now);
          const newer = times.slice(index + 1);
          const held = newer.filter((time) => time >= now - 60_000);
          assert.deepEqual(
            entries.map(({ atMs }) => atMs),
            held,
          );
          assert.equal(gap !== null, held.length < newer.length);
        },
      ),
    );
  });
});
