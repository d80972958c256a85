import type { FeedState } from './live-feed.js';
import { agoWords, clockTime, durationWords } from './words.js';

/** How a page tells, in one line, whether what it shows is true now. */
export interface ConnectionView {
  look: 'connecting' | 'live' | 'stale' | 'disconnected';
  icon: string;
  word: string;
  text: string;
  /** The instant for which the page is true: now where it is live. */
  trueAt: number;
}

/**
 * The worst of a page's feeds speaks for all: they come from one gateway.
 * @param reachable false where REST does not answer
 * @param answeredAt when REST last answered, epoch ms
 */
export function connectionView(
  feeds: readonly FeedState[],
  reachable: boolean,
  answeredAt: number | undefined,
  now: number,
): ConnectionView {
  const lost = feeds.filter((feed) => feed.kind === 'disconnected' || feed.kind === 'stale');
  const asOf = oldest(lost.map((feed) => feed.asOf)) ?? answeredAt;
  const retryAt = oldest(lost.map((feed) => feed.retryAt));
  if (lost.some((feed) => feed.kind === 'disconnected') || (lost.length === 0 && !reachable)) {
    const since =
      asOf === undefined ? 'No data yet.' : `Last data ${clockTime(asOf, now)}, ${agoWords(asOf, now)}.`;
    return {
      look: 'disconnected',
      icon: 'mdi-lan-disconnect',
      word: 'Not connected',
      text: `${since} ${retryWords(retryAt, now)}`,
      trueAt: asOf ?? now,
    };
  }
  if (lost.length > 0) {
    return {
      look: 'stale',
      icon: 'mdi-clock-alert-outline',
      word: asOf === undefined ? 'Old' : `As of ${agoWords(asOf, now)}`,
      text: `Connection lost. ${retryWords(retryAt, now)}`,
      trueAt: asOf ?? now,
    };
  }
  if (feeds.some((feed) => feed.kind === 'connecting')) {
    return { look: 'connecting', icon: 'mdi-dots-horizontal', word: 'Connecting', text: '', trueAt: now };
  }
  return { look: 'live', icon: 'mdi-access-point', word: 'Live', text: '', trueAt: now };
}

function retryWords(retryAt: number | undefined, now: number): string {
  if (retryAt === undefined || retryAt - now < 1000) return 'Trying again now.';
  return `Trying again in ${durationWords(retryAt - now)}.`;
}

function oldest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
