import type { Clock } from '../lib/core/clock.js';
import type { Api } from './api.js';
import {
  addChanges,
  addLiveness,
  applyLiveness,
  applyMessage,
  changeOf,
  emptyShop,
  forgetBefore,
  type Shop,
  withStatistics,
} from './laundry-state.js';
import { STRIP_MS } from './laundry-strip.js';
import type { ShownShop } from './laundry-view.js';
import type { ChangeWire, LaundryMessage, LivenessWire, StatisticsWire, StoreWire } from './laundry-wire.js';
import { type ListWire, listPages } from './lists.js';
import type { FeedMessage, FeedState, LiveFeed } from './live-feed.js';
import { Repeat } from './repeat.js';
import { startOfDay } from './words.js';

export type OpenFeed = (
  storeId: string,
  handlers: { onMessage(message: FeedMessage): void; onState(state: FeedState): void },
) => LiveFeed;

export interface FollowedShopPorts {
  api: Api;
  clock: Clock;
  openFeed: OpenFeed;
  /** Runs a repeated request where that makes sense now, and takes care of its failure. */
  ask(task: () => Promise<void>): Promise<void>;
  failed(error: unknown): void;
  /** `shown` is another now. */
  changed(): void;
}

const STATISTICS_EVERY_MS = 60_000;
const STATISTICS_AFTER_CHANGE_MS = 2000;
/** The feed tells changes; when a controller that says nothing new was last heard, only REST does. */
const LAST_WORD_EVERY_MS = 15_000;
const HISTORY_PAGE = 1000;
/** 24 h of a shop with 500 machines fit; past it, strips are shorter. */
const HISTORY_PAGES = 40;

/** One shop that the page shows: its live feed, its history of 24 hours, today's figures. */
export class FollowedShop {
  shown: ShownShop;
  private readonly ports: FollowedShopPorts;
  private readonly path: string;
  private readonly feed: LiveFeed;
  private readonly statistics: Repeat;
  private readonly lastWords: Repeat;
  /** Counts snapshots: what was asked for before the newest one is no longer wanted. */
  private generation = 0;
  private closed = false;

  constructor(storeId: string, ports: FollowedShopPorts) {
    this.ports = ports;
    this.path = `stores/${encodeURIComponent(storeId)}`;
    this.shown = { shop: emptyShop(storeId), feed: { kind: 'connecting' }, loaded: false };
    const repeat = (everyMs: number, task: () => Promise<void>) =>
      new Repeat(
        ports.clock,
        () => everyMs,
        () => ports.ask(task),
      );
    this.statistics = repeat(STATISTICS_EVERY_MS, () => this.loadStatistics());
    this.lastWords = repeat(LAST_WORD_EVERY_MS, () => this.loadLastWords());
    this.feed = ports.openFeed(storeId, {
      onMessage: (message) => this.take(message as unknown as LaundryMessage),
      onState: (feed) => this.change({ feed }),
    });
    this.lastWords.within(LAST_WORD_EVERY_MS);
  }

  /** Tries at once where it waits for its next attempt. */
  hurry(): void {
    this.feed.hurry();
    this.statistics.now();
    this.lastWords.now();
  }

  resume(): void {
    this.feed.resume();
  }

  doubt(): void {
    this.feed.doubt();
  }

  close(): void {
    this.closed = true;
    this.feed.close();
    this.statistics.stop();
    this.lastWords.stop();
  }

  private take(message: LaundryMessage): void {
    this.changeShop((shop) => applyMessage(shop, message));
    if (message.type !== 'snapshot') {
      this.statistics.within(STATISTICS_AFTER_CHANGE_MS);
      return;
    }
    this.generation += 1;
    this.change({ loaded: true });
    this.statistics.now();
    for (const load of [this.loadHistory(this.generation), this.loadLiveness(this.generation)]) {
      load.catch((error: unknown) => this.ports.failed(error));
    }
  }

  private async loadStatistics(): Promise<void> {
    const now = this.ports.clock.now();
    const query = `from=${new Date(startOfDay(now)).toISOString()}&to=${new Date(now).toISOString()}`;
    const { items } = await this.get<ListWire<StatisticsWire>>(`/machines/statistics?${query}`);
    this.changeShop((shop) => forgetBefore(withStatistics(shop, items), now - STRIP_MS));
  }

  private async loadLastWords(): Promise<void> {
    const { generation } = this;
    const store = await this.get<StoreWire>('/machines');
    if (generation !== this.generation) return;
    for (const { controller_id, last_seen } of store.controllers) {
      this.changeShop((shop) => {
        const known = shop.controllers.find(({ controllerId }) => controllerId === controller_id);
        // Whether it is online is the feed's to say: this answer may be older than the feed's last message.
        return known === undefined
          ? shop
          : applyLiveness(shop, controller_id, known.online, Date.parse(last_seen));
      });
    }
  }

  /** Newest first, page by page, so that strips grow from now into the past. */
  private async loadHistory(generation: number): Promise<void> {
    const from = this.ports.clock.now() - STRIP_MS;
    const query = `/machines/history?from=${new Date(from).toISOString()}&limit=${HISTORY_PAGE}`;
    for await (const items of listPages<ChangeWire>(this.ports.api, this.path + query, HISTORY_PAGES)) {
      if (generation !== this.generation) return;
      const changes = items.map(changeOf);
      this.changeShop((shop) => addChanges(shop, changes));
    }
  }

  /** When controllers came and went in the time of the strips. */
  private async loadLiveness(generation: number): Promise<void> {
    const from = new Date(this.ports.clock.now() - STRIP_MS).toISOString();
    const path = `${this.path}/controllers/history?from=${from}&limit=${HISTORY_PAGE}`;
    for await (const items of listPages<LivenessWire>(this.ports.api, path, HISTORY_PAGES)) {
      if (generation !== this.generation) return;
      this.changeShop((shop) => addLiveness(shop, items));
    }
  }

  private async get<Answer>(rest: string): Promise<Answer> {
    return (await this.ports.api.request(this.path + rest)) as Answer;
  }

  private changeShop(change: (shop: Shop) => Shop): void {
    this.change({ shop: change(this.shown.shop) });
  }

  private change(part: Partial<ShownShop>): void {
    if (this.closed) return;
    this.shown = { ...this.shown, ...part };
    this.ports.changed();
  }
}
