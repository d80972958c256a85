export const MINUTE_MS = 60_000;
const MINUTES = 60;

/** Begins of the last 60 whole minutes and of the running one, ascending, epoch ms. */
export function minutesOfLastHour(now: number): number[] {
  const running = now - (now % MINUTE_MS);
  return Array.from({ length: MINUTES + 1 }, (_, index) => running - (MINUTES - index) * MINUTE_MS);
}

/** A curve of the last hour as REST answers it: a value a minute, null where nothing was measured. */
export function formatCurve(minutes: readonly number[], values: readonly (number | null)[]) {
  return {
    from: new Date(minutes[0] ?? 0).toISOString(),
    step_s: MINUTE_MS / 1000,
    values: [...values],
  };
}
