import type { Clock, Timer } from '../lib/core/clock.js';
import { type Api, ApiError, isUnreachable } from './api.js';
import type { ReplayState } from './laundry-refused.js';
import {
  addChanges,
  applyLiveness,
  applyMessage,
  changeOf,
  emptyShop,
  forgetBefore,
  type Shop,
  withStatistics,
} from './laundry-state.js';
import { keptStrips, STRIP_MS } from './laundry-strip.js';
import {
  type Filter,
  type LaundryPageState,
  type LaundryView,
  type Problem,
  type ShownShop,
  viewOf,
} from './laundry-view.js';
import type {
  ChangeWire,
  DeadLetterWire,
  LaundryMessage,
  ListWire,
  StatisticsWire,
  StoreWire,
} from './laundry-wire.js';
import type { FeedMessage, FeedState, LiveFeed } from './live-feed.js';
import { Repeat } from './repeat.js';
import { startOfDay } from './words.js';

export interface LaundryPagePorts {
  api: Api;
  clock: Clock;
  openFeed(
    storeId: string,
    handlers: { onMessage(message: FeedMessage): void; onState(state: FeedState): void },
  ): LiveFeed;
  /** Called with a new view, at most once in 100 ms. */
  show(view: LaundryView): void;
  /** False while nobody can see the page: it then asks for nothing. */
  visible(): boolean;
}

interface Followed {
  shown: ShownShop;
  feed: LiveFeed;
  statistics: Repeat;
  /** Counts snapshots: an older history load gives way to a newer one. */
  generation: number;
}

/** A new shop has to be on the page within a second of its first message. */
const STORES_EVERY_MS = 500;
const RETRY_EVERY_MS = 2000;
const REFUSED_EVERY_MS = 5000;
const STATISTICS_EVERY_MS = 60_000;
const STATISTICS_AFTER_CHANGE_MS = 2000;
/** The feed tells changes; when a controller that says nothing new was last heard, only this does. */
const LAST_WORD_EVERY_MS = 15_000;
const DRAW_WITHIN_MS = 100;
const TICK_MS = 1000;
const HISTORY_PAGE = 1000;
/** 24 h of a shop with 500 machines fit; past it, strips are shorter. */
const HISTORY_PAGES = 40;
const REFUSED_SHOWN = 100;
/** With more shops than this, the page begins with one of them. */
const SHOPS_AT_ONCE = 6;

/** What the page "Laundry" does: follows the gateway, keeps the state, shows a view of it, carries out presses. */
export class LaundryPage {
  private readonly ports: LaundryPagePorts;
  private readonly followed = new Map<string, Followed>();
  private readonly stores: Repeat;
  private readonly refused: Repeat;
  private readonly lastWords: Repeat;
  private readonly strips = keptStrips();
  private readonly replays = new Map<string, ReplayState>();
  private state: LaundryPageState = {
    storeIds: undefined,
    chosen: undefined,
    shown: [],
    filters: new Map(),
    reachable: true,
    answeredAt: undefined,
    problem: undefined,
    login: undefined,
    refused: { items: undefined, more: false, problem: undefined, replays: new Map() },
  };
  private hasChosen = false;
  private replayAfterLogin: string | undefined;
  private drawTimer: Timer | undefined;
  private drawAgain = false;
  private tickTimer: Timer | undefined;
  private closed = false;

  constructor(ports: LaundryPagePorts) {
    this.ports = ports;
    const { clock } = ports;
    const pace = (ms: number) => () => (this.state.reachable ? ms : RETRY_EVERY_MS);
    this.stores = new Repeat(clock, pace(STORES_EVERY_MS), () => this.whenVisible(() => this.loadStores()));
    this.refused = new Repeat(clock, pace(REFUSED_EVERY_MS), () =>
      this.whenVisible(() => this.loadRefused()),
    );
    this.lastWords = new Repeat(clock, pace(LAST_WORD_EVERY_MS), () =>
      this.whenVisible(() => this.loadLastWords()),
    );
    this.draw();
    this.tick();
    this.stores.now();
    this.refused.now();
    this.lastWords.within(LAST_WORD_EVERY_MS);
  }

  /** @param storeId undefined for all shops */
  choose(storeId: string | undefined): void {
    this.hasChosen = true;
    this.update({ chosen: storeId });
    this.follow();
    this.draw();
  }

  filter(storeId: string, filter: Filter): void {
    this.update({ filters: new Map(this.state.filters).set(storeId, filter) });
    this.draw();
  }

  /** Takes all filters away. */
  showAll(): void {
    this.update({ filters: new Map() });
    this.draw();
  }

  /** After a failure: try everything now. */
  retry(): void {
    this.update({ problem: undefined });
    this.stores.now();
    this.refused.now();
    for (const { feed } of this.followed.values()) feed.hurry();
    this.draw();
  }

  /** Looks for refused messages now, for example as their drawer opens. */
  refreshRefused(): void {
    this.refused.now();
  }

  async login(username: string, password: string): Promise<void> {
    const purpose = this.state.login?.purpose ?? 'read';
    this.update({ login: { pending: true, error: undefined, purpose } });
    this.draw();
    try {
      await this.ports.api.login(username, password);
    } catch (error) {
      const { status, message } = asApiError(error);
      const text = status === 401 ? 'Name or password is wrong.' : message;
      this.update({ login: { pending: false, error: text, purpose } });
      this.draw();
      return;
    }
    this.update({ login: undefined });
    for (const { feed } of this.followed.values()) feed.resume();
    this.retry();
    const id = this.replayAfterLogin;
    this.replayAfterLogin = undefined;
    if (id !== undefined) await this.replay(id);
  }

  /** Gives up a login that only a replay asked for. */
  cancelLogin(): void {
    if (this.state.login?.purpose !== 'replay') return;
    this.replayAfterLogin = undefined;
    this.update({ login: undefined });
    this.draw();
  }

  /** Sends a refused message through again. */
  async replay(id: string): Promise<void> {
    this.setReplay(id, { kind: 'pending' });
    try {
      const answer = await this.ports.api.request(`dead-letters/${encodeURIComponent(id)}/replay`, {
        method: 'POST',
      });
      this.setReplay(id, replayOutcome(answer));
      this.refused.now();
    } catch (error) {
      const problem = asApiError(error);
      if (problem.status === 401) {
        this.replays.delete(id);
        this.replayAfterLogin = id;
        this.update({ login: { pending: false, error: undefined, purpose: 'replay' } });
        this.draw();
      } else {
        this.setReplay(id, { kind: 'failed', message: problem.message });
      }
    }
  }

  /** The page became visible, or the device has its network back. */
  returned(): void {
    this.stores.now();
    this.refused.now();
    this.lastWords.now();
    this.draw();
  }

  close(): void {
    this.closed = true;
    this.stores.stop();
    this.refused.stop();
    this.lastWords.stop();
    this.drawTimer?.cancel();
    this.tickTimer?.cancel();
    for (const storeId of [...this.followed.keys()]) this.unfollow(storeId);
  }

  // What it asks for by itself

  private async whenVisible(task: () => Promise<void>): Promise<void> {
    if (this.closed || !this.ports.visible()) return;
    if (this.state.login?.purpose === 'read') return;
    try {
      await task();
    } catch (error) {
      this.failed(error);
    }
  }

  /** While the gateway does not answer, only the shops are asked for: one sign of life is enough. */
  private async whenReachable(task: () => Promise<void>): Promise<void> {
    if (this.state.reachable) await this.whenVisible(task);
  }

  private failed(error: unknown): void {
    const { status } = asApiError(error);
    if (isUnreachable(error)) {
      this.update({ reachable: false });
      for (const { feed } of this.followed.values()) feed.doubt();
    } else if (status === 401) {
      this.update({ login: { pending: false, error: undefined, purpose: 'read' } });
    } else {
      this.update({ problem: problemOf(error) });
    }
    this.draw();
  }

  private async loadStores(): Promise<void> {
    const wasReachable = this.state.reachable;
    const { items } = (await this.ports.api.request('stores')) as ListWire<{ store_id: string }>;
    if (this.closed) return;
    const storeIds = items.map(({ store_id }) => store_id).sort();
    const news = storeIds.join() !== this.state.storeIds?.join();
    this.update({ reachable: true, answeredAt: this.ports.clock.now(), problem: undefined });
    if (!wasReachable) for (const { feed } of this.followed.values()) feed.hurry();
    if (!news) return;
    if (!this.hasChosen && storeIds.length > SHOPS_AT_ONCE) this.update({ chosen: storeIds[0] });
    const gone = this.state.chosen !== undefined && !storeIds.includes(this.state.chosen);
    this.update({ storeIds, ...(gone ? { chosen: undefined } : {}) });
    this.follow();
    this.draw();
  }

  private async loadRefused(): Promise<void> {
    const since = new Date(this.ports.clock.now() - STRIP_MS).toISOString();
    const query = `protocol=laundry&since=${since}&limit=${REFUSED_SHOWN}`;
    try {
      const list = (await this.ports.api.request(`dead-letters?${query}`)) as ListWire<DeadLetterWire>;
      const items = unchangedKept(this.state.refused.items ?? [], list.items);
      const more = typeof list.next_cursor === 'string';
      this.update({ refused: { ...this.state.refused, items, more, problem: undefined } });
    } catch (error) {
      const { status } = asApiError(error);
      // To read refused messages may want more rights than to see the machines.
      if (status !== 403) throw error;
      this.update({ refused: { ...this.state.refused, problem: problemOf(error) } });
    }
    this.draw();
  }

  private async loadLastWords(): Promise<void> {
    await Promise.all(
      [...this.followed].map(async ([storeId, followed]) => {
        const { generation } = followed;
        const store = (await this.ports.api.request(
          `stores/${encodeURIComponent(storeId)}/machines`,
        )) as StoreWire;
        if (followed.generation !== generation) return;
        for (const { controller_id, last_seen } of store.controllers) {
          this.changeShop(storeId, (shop) => {
            const known = shop.controllers.find(({ controllerId }) => controllerId === controller_id);
            // Whether it is online is the feed's to say: an answer may be older than the feed's last message.
            return known === undefined
              ? shop
              : applyLiveness(shop, controller_id, known.online, Date.parse(last_seen));
          });
        }
      }),
    );
  }

  // Following shops

  private follow(): void {
    const { storeIds = [], chosen } = this.state;
    const wanted = chosen === undefined ? storeIds : [chosen];
    for (const storeId of [...this.followed.keys()]) {
      if (!wanted.includes(storeId)) this.unfollow(storeId);
    }
    for (const storeId of wanted) {
      if (!this.followed.has(storeId)) this.startFollowing(storeId);
    }
    this.update({ shown: wanted.flatMap((storeId) => this.followed.get(storeId)?.shown ?? []) });
  }

  private startFollowing(storeId: string): void {
    const { clock, openFeed } = this.ports;
    const shown: ShownShop = { shop: emptyShop(storeId), feed: { kind: 'connecting' }, loaded: false };
    const statistics = new Repeat(
      clock,
      () => STATISTICS_EVERY_MS,
      () => this.whenReachable(() => this.loadStatistics(storeId)),
    );
    const early: FeedState[] = [];
    const feed = openFeed(storeId, {
      onMessage: (message) => this.take(storeId, message as unknown as LaundryMessage),
      onState: (state) => {
        if (!this.followed.has(storeId)) early.push(state);
        else this.changeShown(storeId, { feed: state });
      },
    });
    this.followed.set(storeId, { shown, feed, statistics, generation: 0 });
    for (const state of early) this.changeShown(storeId, { feed: state });
  }

  private unfollow(storeId: string): void {
    const followed = this.followed.get(storeId);
    followed?.feed.close();
    followed?.statistics.stop();
    this.followed.delete(storeId);
  }

  private take(storeId: string, message: LaundryMessage): void {
    const followed = this.followed.get(storeId);
    if (followed === undefined) return;
    this.changeShop(storeId, (shop) => applyMessage(shop, message));
    if (message.type === 'snapshot') {
      followed.generation += 1;
      this.changeShown(storeId, { loaded: true });
      followed.statistics.now();
      this.loadHistory(storeId, followed.generation).catch((error: unknown) => this.failed(error));
    } else {
      followed.statistics.within(STATISTICS_AFTER_CHANGE_MS);
    }
  }

  private async loadStatistics(storeId: string): Promise<void> {
    const now = this.ports.clock.now();
    const query = `from=${new Date(startOfDay(now)).toISOString()}&to=${new Date(now).toISOString()}`;
    const path = `stores/${encodeURIComponent(storeId)}/machines/statistics?${query}`;
    const { items } = (await this.ports.api.request(path)) as ListWire<StatisticsWire>;
    this.changeShop(storeId, (shop) => forgetBefore(withStatistics(shop, items), now - STRIP_MS));
  }

  /** Newest first, page by page, so that strips grow from now into the past. */
  private async loadHistory(storeId: string, generation: number): Promise<void> {
    const from = this.ports.clock.now() - STRIP_MS;
    const base = `stores/${encodeURIComponent(storeId)}/machines/history?from=${new Date(from).toISOString()}&limit=${HISTORY_PAGE}`;
    let cursor: string | null | undefined;
    for (let page = 0; page < HISTORY_PAGES; page++) {
      const path = cursor ? `${base}&cursor=${encodeURIComponent(cursor)}` : base;
      const list = (await this.ports.api.request(path)) as ListWire<ChangeWire>;
      if (this.followed.get(storeId)?.generation !== generation) return;
      cursor = list.next_cursor;
      const changes = list.items.map(changeOf);
      const oldest = changes.at(-1)?.at ?? from;
      this.changeShop(storeId, (shop) => addChanges(shop, changes, cursor ? oldest : from));
      if (!cursor) return;
    }
  }

  // State and drawing

  private update(part: Partial<LaundryPageState>): void {
    this.state = { ...this.state, ...part };
  }

  private changeShop(storeId: string, change: (shop: Shop) => Shop): void {
    const followed = this.followed.get(storeId);
    if (followed !== undefined) this.changeShown(storeId, { shop: change(followed.shown.shop) });
  }

  private changeShown(storeId: string, part: Partial<ShownShop>): void {
    const followed = this.followed.get(storeId);
    if (followed === undefined) return;
    followed.shown = { ...followed.shown, ...part };
    if (followed.shown.feed.kind === 'refused' && followed.shown.feed.reason === 'unauthenticated') {
      this.update({ login: { pending: false, error: undefined, purpose: 'read' } });
    }
    const shown = this.state.shown.map((old) => (old.shop.storeId === storeId ? followed.shown : old));
    this.update({ shown });
    this.draw();
  }

  private setReplay(id: string, replay: ReplayState): void {
    this.replays.set(id, replay);
    this.update({ refused: { ...this.state.refused, replays: new Map(this.replays) } });
    this.draw();
  }

  /** At once, then not again for a moment: a thousand messages a second are ten drawings. */
  private draw(): void {
    if (this.closed) return;
    if (this.drawTimer !== undefined) {
      this.drawAgain = true;
      return;
    }
    this.drawAgain = false;
    this.ports.show(viewOf(this.state, this.strips, this.ports.clock.now()));
    this.drawTimer = this.ports.clock.setTimer(() => {
      this.drawTimer = undefined;
      if (this.drawAgain) this.draw();
    }, DRAW_WITHIN_MS);
  }

  /** Ages go on although nothing happens. */
  private tick(): void {
    this.tickTimer = this.ports.clock.setTimer(() => {
      if (this.ports.visible()) this.draw();
      this.tick();
    }, TICK_MS);
  }
}

function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(-1, 'page_failed', String(error));
}

function problemOf(error: unknown): Problem {
  const { code, message } = asApiError(error);
  return { code, message };
}

/** The same item stays the same object, so that what was decoded from it is kept. */
function unchangedKept(old: readonly DeadLetterWire[], fresh: readonly DeadLetterWire[]): DeadLetterWire[] {
  const known = new Map(old.map((item) => [item.id, item]));
  return fresh.map((item) => known.get(item.id) ?? item);
}

function replayOutcome(answer: unknown): ReplayState {
  const outcome = answer as { accepted?: boolean; message?: string } | undefined;
  return outcome?.accepted === false
    ? { kind: 'refused_again', message: outcome.message ?? '' }
    : { kind: 'accepted' };
}
