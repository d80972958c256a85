/**
 * How fast a machine's own time goes beside the steady clock of the gateway. That of a real roaster goes along with it;
 * that of a simulated one may be faster, so that a roast is over within a minute and still has its ten minutes in the
 * record: readings, events and rates all stand on the machine's time.
 */
export interface Pace {
  readonly speed: number;
  /** The machine's time at a moment of the steady clock, ms. */
  at(steadyMs: number): number;
}

export const REAL_TIME: Pace = { speed: 1, at: (steadyMs) => steadyMs };

/** Another speed from a moment on; what was before stays as it was. */
export function changePace(pace: Pace, speed: number, steadyMs: number): Pace {
  if (speed === pace.speed) return pace;
  const fromMs = pace.at(steadyMs);
  return { speed, at: (ms) => fromMs + (ms - steadyMs) * speed };
}
