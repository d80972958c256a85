import type { Bucket, Fields, Figures, TelemetryRow } from './ports.js';

/** Sizes of rollups, ms. */
export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;

/** Numbers of a bucket, and characters of their names: what is more is in the rows alone. */
const MOST_NAMES = 256;
const LONGEST_NAME = 128;

export const beginOf = (at: number, size: number): number => Math.floor(at / size) * size;

/** The figures of rows and of smaller buckets, by the begin of their bucket. */
export interface Tally {
  addRow(row: TelemetryRow): void;
  addBucket(bucket: Bucket): void;
  /** In the order of time. */
  buckets(): Bucket[];
}

/**
 * Sums up rows (ingest.md "The store"). Always from the rows or the smaller buckets themselves, never on top of an
 * earlier sum: so it is right whatever order they came in, and after a crash.
 */
export function createTally(size: number): Tally {
  const byBegin = new Map<number, Fields>();

  function fieldsAt(at: number): Fields {
    const begin = beginOf(at, size);
    let fields = byBegin.get(begin);
    if (fields === undefined) {
      fields = new Map();
      byBegin.set(begin, fields);
    }
    return fields;
  }

  return {
    addRow(row) {
      const fields = fieldsAt(row.at);
      addNumber(fields, 'battery', row.battery);
      addNumber(fields, 'solar_v', row.solarV);
      addNumber(fields, 'solar_a', row.solarA);
      addNumber(fields, 'water', row.water);
      if (row.extra !== null) addExtra(fields, 'extra', JSON.parse(row.extra));
    },
    addBucket({ at, fields: added }) {
      const fields = fieldsAt(at);
      for (const [name, figures] of added) add(fields, name, figures);
    },
    buckets() {
      return [...byBegin].sort(([a], [b]) => a - b).map(([at, fields]) => ({ at, fields }));
    },
  };
}

function addNumber(fields: Fields, name: string, value: number | null): void {
  if (value !== null) add(fields, name, [1, value, value, value]);
}

function addExtra(fields: Fields, name: string, value: unknown): void {
  if (typeof value === 'number') addNumber(fields, name, value);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) addExtra(fields, `${name}.${key}`, inner);
  }
}

function add(fields: Fields, name: string, [count, min, max, sum]: Figures): void {
  const known = fields.get(name);
  if (known === undefined) {
    if (fields.size < MOST_NAMES && name.length <= LONGEST_NAME) fields.set(name, [count, min, max, sum]);
    return;
  }
  known[0] += count;
  known[1] = Math.min(known[1], min);
  known[2] = Math.max(known[2], max);
  known[3] = finite(known[3] + sum);
}

/** No database keeps what is not finite. */
const finite = (sum: number) => Math.min(Math.max(sum, -Number.MAX_VALUE), Number.MAX_VALUE);
