import type { Clock } from '../core/clock.js';
import { FieldloomError } from '../core/errors.js';

export interface DownloadLimits {
  /** All downloads together; undefined: as fast as they can. */
  bytesPerSecond?: number | undefined;
  /** At once. */
  maxDownloads: number;
}

export interface Downloads {
  /** How many are under way. */
  readonly active: number;
  /** A place for one download. @throws FieldloomError too_many_downloads with `retry_after_s` */
  enter(): Place;
}

export interface Place {
  /** Fulfils when so many bytes may be sent: in the order of the calls, so that all downloads get their share. */
  pace(bytes: number): Promise<void>;
  leave(): void;
}

/** When a client that found no place may ask again, s: spread, so that they do not come all at once. */
const RETRY_S = { least: 5, most: 30 };

/**
 * Places and speed of downloads. Bytes that were not sent in time are not made up for: after a pause there is no
 * burst above the cap.
 */
export function createDownloads(
  { bytesPerSecond, maxDownloads }: DownloadLimits,
  clock: Clock,
  random: () => number = Math.random,
): Downloads {
  let active = 0;
  /** Epoch ms from when the next byte may go. */
  let freeAt = 0;

  /** Each piece takes the time that it costs at the cap, after those before it. */
  function pace(bytes: number): Promise<void> {
    if (bytesPerSecond === undefined) return Promise.resolve();
    const now = clock.now();
    const startAt = Math.max(now, freeAt);
    freeAt = startAt + (bytes / bytesPerSecond) * 1000;
    if (startAt <= now) return Promise.resolve();
    return new Promise((resolve) => clock.setTimer(resolve, startAt - now));
  }

  return {
    get active() {
      return active;
    },
    enter() {
      if (active >= maxDownloads) {
        const retryAfter = Math.round(RETRY_S.least + random() * (RETRY_S.most - RETRY_S.least));
        throw new FieldloomError(
          'too_many_downloads',
          `${active} downloads are under way, more are not served at once: try again in ${retryAfter} s`,
          { details: { retry_after_s: retryAfter } },
        );
      }
      active += 1;
      let left = false;
      return {
        pace,
        leave() {
          if (!left) active -= 1;
          left = true;
        },
      };
    },
  };
}
