export interface BackoffOptions {
  /** Delay before the first retry, ms. */
  firstMs: number;
  /** No delay is longer, ms (before jitter). */
  maxMs: number;
  /** Share by which a delay may differ in both directions, 0 to 1. */
  jitter: number;
}

/**
 * Delay before retry number `attempt` (0 is the first), doubling from `firstMs` up to `maxMs`, with jitter so
 * that many clients that lost the same broker do not return at the same moment.
 * @returns milliseconds, never negative
 */
export function backoffDelay(attempt: number, options: BackoffOptions, random: () => number = Math.random) {
  const plain = Math.min(options.firstMs * 2 ** Math.min(attempt, 30), options.maxMs);
  return Math.max(0, plain * (1 + options.jitter * (2 * random() - 1)));
}
