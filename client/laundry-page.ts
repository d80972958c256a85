import type { Clock } from '../lib/core/clock.js';
import { type Api, asApiError, isUnreachable, problemOf } from './api.js';
import { Drawing } from './drawing.js';
import { FollowedShop, type OpenFeed } from './followed-shop.js';
import { keptStrips } from './laundry-strip.js';
import { type Filter, type LaundryPageState, type LaundryView, viewOf } from './laundry-view.js';
import type { ListWire } from './lists.js';
import { type LoginState, logIn } from './login.js';
import { NOTHING_REFUSED, RefusedMessages } from './refused-messages.js';
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
/** With more shops than this, the page begins with one of them. */
const SHOPS_AT_ONCE = 6;

const NOTHING: Pick<
  LaundryPageState,
  'username' | 'storeIds' | 'chosen' | 'shown' | 'filters' | 'problem' | 'login'
> = {
  username: undefined,
  storeIds: undefined,
  chosen: undefined,
  shown: [],
  filters: new Map(),
  problem: undefined,
  login: undefined,
};

/** What the page "Laundry" does: follows the gateway, keeps the state, shows a view of it, carries out presses. */
export class LaundryPage {
  private readonly ports: LaundryPagePorts;
  private readonly followed = new Map<string, FollowedShop>();
  private readonly stores: Repeat;
  private readonly refused: RefusedMessages;
  private readonly refusedAgain: Repeat;
  private readonly strips = keptStrips();
  private state: LaundryPageState = {
    ...NOTHING,
    reachable: true,
    answeredAt: undefined,
    refused: NOTHING_REFUSED,
  };
  private hasChosen = false;
  /** Counts logins: an answer to the one before is nobody's any more. */
  private session = 0;
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
    this.refused = new RefusedMessages(
      {
        api: ports.api,
        clock,
        changed: (refused) => {
          this.update({ refused });
          this.draw();
        },
        wantsLogin: () => this.askForLogin('replay'),
      },
      'laundry',
    );
    this.refusedAgain = new Repeat(clock, pace(REFUSED_EVERY_MS), () =>
      this.whenReachable(() => this.refused.load()),
    );
    this.update({ username: ports.api.username });
    this.draw();
    this.drawing.tick();
    this.stores.now();
    this.refusedAgain.now();
  }

  /** @param storeId undefined for all shops */
  choose(storeId: string | undefined): void {
    this.hasChosen = true;
    this.update({ chosen: storeId });
    this.follow();
    this.drawing.now();
  }

  filter(storeId: string, filter: Filter): void {
    this.update({ filters: new Map(this.state.filters).set(storeId, filter) });
    this.drawing.now();
  }

  /** Takes all filters away. */
  showAll(): void {
    this.update({ filters: new Map() });
    this.drawing.now();
  }

  /** After a failure: try everything now. */
  retry(): void {
    this.update({ problem: undefined });
    this.stores.now();
    this.refusedAgain.now();
    for (const shop of this.followed.values()) shop.hurry();
    this.draw();
  }

  /** Looks for refused messages now, for example as their drawer opens. */
  refreshRefused(): void {
    this.refusedAgain.now();
  }

  async login(username: string, password: string): Promise<void> {
    const purpose = this.state.login?.purpose ?? 'read';
    const show = (form: LoginState) => {
      this.update({ login: { ...form, purpose } });
      this.draw();
    };
    if (!(await logIn(this.ports.api, { username, password }, show))) return;
    // Somebody else may see other shops: nothing of the one before stays.
    const wasOther = this.state.username !== undefined && this.state.username !== username;
    if (wasOther) this.forget();
    this.update({ login: undefined, username });
    for (const shop of this.followed.values()) shop.resume();
    this.retry();
    await this.refused.replayWished();
  }

  /** Gives up a login that only a replay asked for. */
  cancelLogin(): void {
    if (this.state.login?.purpose !== 'replay') return;
    this.refused.forgetWish();
    this.update({ login: undefined });
    this.draw();
  }

  logout(): void {
    this.ports.api.logout();
    this.forget();
    this.stores.now();
    this.draw();
  }

  /** Sends a refused message through again. */
  async replay(id: string): Promise<void> {
    await this.refused.replay(id);
    this.refusedAgain.now();
  }

  /** The page became visible, or the device has its network back. */
  returned(): void {
    this.stores.now();
    this.refusedAgain.now();
    for (const shop of this.followed.values()) shop.hurry();
    this.draw();
  }

  close(): void {
    this.closed = true;
    this.stores.stop();
    this.refusedAgain.stop();
    this.drawing.close();
    for (const storeId of [...this.followed.keys()]) this.unfollow(storeId);
  }

  // What it asks for by itself

  private async whenVisible(task: () => Promise<void>): Promise<void> {
    if (this.closed || !this.ports.visible()) return;
    if (this.state.login?.purpose === 'read') return;
    const { session } = this;
    try {
      await task();
    } catch (error) {
      if (session === this.session) this.failed(error);
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
    const { session } = this;
    const wasReachable = this.state.reachable;
    const { items } = (await this.ports.api.request('stores')) as ListWire<{ store_id: string }>;
    if (this.closed || session !== this.session) return;
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

  private forget(): void {
    this.session += 1;
    for (const storeId of [...this.followed.keys()]) this.unfollow(storeId);
    this.refused.forget();
    this.hasChosen = false;
    this.update(NOTHING);
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

  private draw(): void {
    this.drawing.draw();
  }
}
