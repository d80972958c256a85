export type Probe = 'bt' | 'et';

/** Without a reading for so long it is told, once (roast.md "Signal"). */
const SILENT_MS = 5_000;

/** Which probe has given nothing for more than 5 s. One that never gave anything is not there, and is not missed. */
export interface Silence {
  /** Readings are expected from now on. */
  begin(nowMs: number): void;
  heard(bt: number | null, et: number | null, nowMs: number): void;
  /** What is to be told now: each run once. `all`: no probe gives anything. */
  due(nowMs: number): Probe | 'all' | undefined;
}

export function createSilence(): Silence {
  let begunMs = 0;
  let heardMs: Partial<Record<Probe, number>> = {};
  let told = new Set<Probe | 'all'>();
  const silent = (sinceMs: number, nowMs: number) => nowMs - sinceMs > SILENT_MS;

  return {
    begin(nowMs) {
      begunMs = nowMs;
      heardMs = {};
      told = new Set();
    },
    heard(bt, et, nowMs) {
      for (const [probe, celsius] of [
        ['bt', bt],
        ['et', et],
      ] as const) {
        if (celsius === null) continue;
        heardMs[probe] = nowMs;
        told.delete(probe);
        told.delete('all');
      }
    },
    due(nowMs) {
      const probes = Object.entries(heardMs) as [Probe, number][];
      const missing = probes.filter(([, atMs]) => silent(atMs, nowMs)).map(([probe]) => probe);
      const all = missing.length === probes.length && silent(begunMs, nowMs);
      const next = all ? 'all' : missing.find((probe) => !told.has(probe));
      if (next === undefined || told.has(next)) return undefined;
      told.add(next);
      // Where all are told, none of them is told again by itself.
      if (all) for (const probe of missing) told.add(probe);
      return next;
    },
  };
}
