import type { Clock } from '../lib/core/clock.js';
import type { Api } from './api.js';
import { listPages } from './lists.js';
import type { FeedMessage, FeedState, LiveFeed } from './live-feed.js';
import { type CurveSpan, SPAN_MS } from './pond-curve.js';
import {
  addExecutions,
  addReadings,
  applyFacts,
  applyMessage,
  forgetReadingsBefore,
  type Pond,
  pondOf,
  refreshed,
} from './pond-state.js';
import type { ExecutionWire, PondMessage, PondWire, ReadingWire } from './pond-wire.js';

export type OpenPondFeed = (
  pondId: number,
  handlers: { onMessage(message: FeedMessage): void; onState(state: FeedState): void },
) => LiveFeed;

export interface FollowedPondPorts {
  api: Api;
  clock: Clock;
  openFeed: OpenPondFeed;
  failed(error: unknown): void;
  /** `shown` is another now. */
  changed(): void;
}

/** What of a pond's past is at hand. */
export interface Past {
  curves: 'none' | 'loading' | 'loaded';
  history: 'more' | 'loading' | 'whole';
}

export interface ShownPond {
  pond: Pond;
  /** Undefined where only the list tells of it. */
  feed: FeedState | undefined;
  past: Past;
}

const READINGS_PAGE = 1000;
/** 24 h with a reading each 3 s fit; past it, curves are shorter. */
const READINGS_PAGES = 30;
const SENT_LATE_MS = 600_000;
/** So many executions come with each snapshot; with fewer there are no more. */
const EXECUTIONS_AT_FIRST = 20;
const EXECUTIONS_PAGE = 50;

/** One pond of the page: what the list says, its live feed, and its past where somebody looks at it. */
export class FollowedPond {
  shown: ShownPond;
  private readonly ports: FollowedPondPorts;
  private feed: LiveFeed | undefined;
  /** How far back somebody looks; undefined while nobody does. */
  private span: CurveSpan | undefined;
  /** Counts snapshots and spans: what was asked for before the newest one is no longer wanted. */
  private generation = 0;
  private historyPages: AsyncGenerator<ExecutionWire[]> | undefined;
  private closed = false;

  constructor(wire: PondWire, ports: FollowedPondPorts) {
    this.ports = ports;
    this.shown = { pond: pondOf(wire), feed: undefined, past: { curves: 'none', history: 'more' } };
  }

  /** The list has come again. */
  listed(wire: PondWire): void {
    this.changePond((pond) => (this.feed === undefined ? applyFacts(pond, wire) : refreshed(pond, wire)));
  }

  /** Begins or ends to follow the pond live. */
  follow(wanted: boolean): void {
    if (wanted === (this.feed !== undefined)) return;
    if (!wanted) {
      this.feed?.close();
      this.feed = undefined;
      this.change({ feed: undefined });
      return;
    }
    this.change({ feed: { kind: 'connecting' } });
    this.feed = this.ports.openFeed(this.shown.pond.pondId, {
      onMessage: (message) => this.take(message as unknown as PondMessage),
      onState: (feed) => this.change({ feed }),
    });
  }

  /** Loads curves back to the beginning of the span, unless they are at hand; undefined: nobody looks any more. */
  look(span: CurveSpan | undefined): void {
    if (span === this.span) return;
    const had = this.span;
    this.span = span;
    const enough = had !== undefined && span !== undefined && SPAN_MS[had] >= SPAN_MS[span];
    if (span !== undefined && !enough) this.loadCurves();
  }

  /** Older executions than those at hand. */
  async olderExecutions(): Promise<void> {
    if (this.shown.past.history === 'loading') return;
    this.changePast({ history: 'loading' });
    this.historyPages ??= listPages<ExecutionWire>(
      this.ports.api,
      `automation/ponds/${this.shown.pond.pondId}/executions/?limit=${EXECUTIONS_PAGE}`,
      Number.POSITIVE_INFINITY,
    );
    try {
      const { value, done } = await this.historyPages.next();
      const items = value ?? [];
      this.changePond((pond) => addExecutions(pond, items));
      this.changePast({ history: done === true || items.length < EXECUTIONS_PAGE ? 'whole' : 'more' });
    } catch (error) {
      this.historyPages = undefined;
      this.changePast({ history: 'more' });
      this.ports.failed(error);
    }
  }

  /** Changes the pond by what the gateway answered to this page. */
  changePond(change: (pond: Pond) => Pond): void {
    const pond = change(this.shown.pond);
    if (pond !== this.shown.pond) this.change({ pond });
  }

  /** Tries at once where it waits for its next attempt. */
  hurry(): void {
    this.feed?.hurry();
  }

  resume(): void {
    this.feed?.resume();
  }

  doubt(): void {
    this.feed?.doubt();
  }

  close(): void {
    this.closed = true;
    this.feed?.close();
  }

  private take(message: PondMessage): void {
    if (message.type === 'snapshot') {
      const few = (message.data.executions?.length ?? 0) < EXECUTIONS_AT_FIRST;
      if (few) this.changePast({ history: 'whole' });
    }
    this.changePond((pond) => this.trimmed(applyMessage(pond, message)));
    // What was measured while the feed was away is only in the history.
    if (message.type === 'snapshot' && this.span !== undefined) this.loadCurves(this.newestReading());
  }

  /** A pond that nobody looks at keeps no past. */
  private trimmed(pond: Pond): Pond {
    return forgetReadingsBefore(pond, this.ports.clock.now() - SPAN_MS[this.span ?? '1h']);
  }

  private newestReading(): number | undefined {
    const { pond, past } = this.shown;
    return past.curves === 'loaded' ? pond.readings.at(-1)?.at : undefined;
  }

  /** @param known up to when all readings are at hand, but for those that devices sent late */
  private loadCurves(known = 0): void {
    const { span } = this;
    if (span === undefined) return;
    this.generation += 1;
    if (this.shown.past.curves === 'none') this.changePast({ curves: 'loading' });
    const from = Math.max(this.ports.clock.now() - SPAN_MS[span], known - SENT_LATE_MS);
    this.loadReadings(from, this.generation).catch((error: unknown) => {
      this.changePast({ curves: 'loaded' });
      this.ports.failed(error);
    });
  }

  /** Newest first, page by page, so that curves grow from now into the past. */
  private async loadReadings(from: number, generation: number): Promise<void> {
    const query = `from=${new Date(from).toISOString()}&limit=${READINGS_PAGE}`;
    const path = `automation/ponds/${this.shown.pond.pondId}/readings/?${query}`;
    for await (const items of listPages<ReadingWire>(this.ports.api, path, READINGS_PAGES)) {
      if (generation !== this.generation || this.closed) return;
      this.changePond((pond) => addReadings(pond, items));
      this.changePast({ curves: 'loaded' });
    }
  }

  private changePast(part: Partial<Past>): void {
    this.change({ past: { ...this.shown.past, ...part } });
  }

  private change(part: Partial<ShownPond>): void {
    if (this.closed) return;
    this.shown = { ...this.shown, ...part };
    this.ports.changed();
  }
}
