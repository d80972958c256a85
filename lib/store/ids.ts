import { createHash, randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

/** Random bytes are fetched in blocks: one call of the generator per id would cost more than the id itself. */
const BLOCK = 4096;

/**
 * A source of UUIDs version 7, each greater than every one before from the same source, also where the clock stands
 * or steps back: their order is the order of arrival.
 */
export function idSource(now: () => number): () => string {
  const block = Buffer.alloc(BLOCK);
  let used = BLOCK;
  let lastMs = 0;
  let sequence = 0;

  function random16(): Buffer {
    if (used + 16 > BLOCK) {
      randomFillSync(block);
      used = 0;
    }
    used += 16;
    return block.subarray(used - 16, used);
  }

  return () => {
    const random = random16();
    const ms = now();
    if (ms > lastMs) {
      lastMs = ms;
      // The upper half is left free, so that one millisecond has room for 2^31 ids.
      sequence = random.readUInt32BE(6) >>> 1;
    } else {
      sequence += 1;
      if (sequence > 0xffffffff) {
        sequence = 0;
        lastMs += 1;
      }
    }
    return v7({ msecs: lastMs, seq: sequence, random });
  };
}

/** The process's own source. */
export const newId: () => string = idSource(Date.now);

/** Less than every id that was made at this instant or later, epoch ms. */
export function firstIdOf(at: number): string {
  const hex = Math.max(0, Math.floor(at)).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}

/** The key of a text that is too long to be a key itself (tables.ts): its SHA-256 in hex. */
export function textKey(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
