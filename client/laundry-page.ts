import type { Clock } from '../lib/core/clock.js';
import { type Api, asApiError, isUnreachable, problemOf } from './api.js';
import { Drawing } from './drawing.js';
import { FollowedShop, type OpenFeed } from './followed-shop.js';
import type { ReplayState } from './laundry-refused.js';
import { keptStrips, STRIP_MS } from './laundry-strip.js';
import { type Filter, type LaundryPageState, type LaundryView, viewOf } from './laundry-view.js';
import type { DeadLetterWire } from './laundry-wire.js';
import type { ListWire } from './lists.js';
import { logIn } from './login.js';
import { Repeat } from './repeat.js';

export interface LaundryPagePorts {
  api: Api;
  clock: Clock;
  openFeed: OpenFeed;
  /** Called with a new view, at most once in 100 ms. */
  show(view: LaundryView): void;
  /** False while nobody can see the page: it then asks for nothing. */
  visible(): boolean;
}

/** A new shop has to be on the page within a second of its first message. */
const STORES_EVERY_MS = 500;
const RETRY_EVERY_MS = 2000;
const REFUSED_EVERY_MS = 5000;
const REFUSED_SHOWN = 100;
/** With more shops than this, the page begins with one of them. */
const SHOPS_AT_ONCE = 6;

/** What the page "Laundry" does: follows the gateway, keeps the state, shows a view of it, carries out presses. */
export class LaundryPage {
  private readonly ports: LaundryPagePorts;
  private readonly followed = new Map<string, FollowedShop>();
  private readonly stores: Repeat;
  private readonly refused: Repeat;
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
  private readonly drawing: Drawing;
  private closed = false;

  constructor(ports: LaundryPagePorts) {
    this.ports = ports;
    const { clock } = ports;
    this.drawing = new Drawing(clock, ports.visible, () =>
      ports.show(viewOf(this.state, this.strips, clock.now())),
    );
    const pace = (ms: number) => () => (this.state.reachable ? ms : RETRY_EVERY_MS);
    this.stores = new Repeat(clock, pace(STORES_EVERY_MS), () => this.whenVisible(() => this.loadStores()));
    this.refused = new Repeat(clock, pace(REFUSED_EVERY_MS), () =>
      this.whenReachable(() => this.loadRefused()),
    );
    this.draw();
    this.drawing.tick();
    this.stores.now();
    this.refused.now();
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
    for (const shop of this.followed.values()) shop.hurry();
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
    const error = await logIn(this.ports.api, username, password);
    if (error !== undefined) {
      this.update({ login: { pending: false, error, purpose } });
      this.draw();
      return;
    }
    this.update({ login: undefined });
    for (const shop of this.followed.values()) shop.resume();
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
        this.replayAfterLogin = id;
        this.askForLogin('replay');
        this.setReplay(id, undefined);
      } else {
        this.setReplay(id, { kind: 'failed', message: problem.message });
      }
    }
  }

  /** The page became visible, or the device has its network back. */
  returned(): void {
    this.stores.now();
    this.refused.now();
    for (const shop of this.followed.values()) shop.hurry();
    this.draw();
  }

  close(): void {
    this.closed = true;
    this.stores.stop();
    this.refused.stop();
    this.drawing.close();
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
      for (const shop of this.followed.values()) shop.doubt();
    } else if (status === 401) {
      this.askForLogin('read');
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
    if (!wasReachable) for (const shop of this.followed.values()) shop.hurry();
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

  // Following shops

  private follow(): void {
    const { storeIds = [], chosen } = this.state;
    const wanted = chosen === undefined ? storeIds : [chosen];
    for (const storeId of [...this.followed.keys()]) {
      if (!wanted.includes(storeId)) this.unfollow(storeId);
    }
    for (const storeId of wanted) {
      if (this.followed.has(storeId)) continue;
      const { api, clock, openFeed } = this.ports;
      const shop = new FollowedShop(storeId, {
        api,
        clock,
        openFeed,
        ask: (task) => this.whenReachable(task),
        failed: (error) => this.failed(error),
        changed: () => this.shopsChanged(),
      });
      this.followed.set(storeId, shop);
    }
    this.shopsChanged();
  }

  private unfollow(storeId: string): void {
    this.followed.get(storeId)?.close();
    this.followed.delete(storeId);
  }

  private shopsChanged(): void {
    const { storeIds = [] } = this.state;
    const shown = storeIds.flatMap((storeId) => this.followed.get(storeId)?.shown ?? []);
    const locked = shown.some(({ feed }) => feed.kind === 'refused' && feed.reason === 'unauthenticated');
    if (locked) this.askForLogin('read');
    this.update({ shown });
    this.draw();
  }

  private askForLogin(purpose: 'read' | 'replay'): void {
    if (this.state.login?.purpose !== purpose) {
      this.update({ login: { pending: false, error: undefined, purpose } });
    }
  }

  // State and drawing

  private update(part: Partial<LaundryPageState>): void {
    this.state = { ...this.state, ...part };
  }

  private setReplay(id: string, replay: ReplayState | undefined): void {
    if (replay === undefined) this.replays.delete(id);
    else this.replays.set(id, replay);
    this.update({ refused: { ...this.state.refused, replays: new Map(this.replays) } });
    this.draw();
  }

  private draw(): void {
    this.drawing.draw();
  }
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
