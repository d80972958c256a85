/** Within which a value is as it should be; either end may be open. */
export interface Limits {
  min?: number | undefined;
  max?: number | undefined;
}

/** At which side a value is outside its limits; undefined where it is not. At a limit is still within. */
export function outsideAt(value: number, { min, max }: Limits): 'low' | 'high' | undefined {
  if (min !== undefined && value < min) return 'low';
  if (max !== undefined && value > max) return 'high';
  return undefined;
}

/** What was measured longer ago, ms, says nothing of now. */
export const VALUE_COUNTS_MS = 3_600_000;
