import type { Clock } from '../lib/core/clock.js';
import { type Api, asApiError, isUnreachable, problemOf } from './api.js';
import type { Asked } from './asked.js';
import { Drawing } from './drawing.js';
import { FollowedPond, type OpenPondFeed } from './followed-pond.js';
import { listPages } from './lists.js';
import { type LoginState, logIn } from './login.js';
import { type CurveSpan, keptCurves } from './pond-curve.js';
import { type Order, PressedOrder } from './pond-order.js';
import { addExecutions, alertOf, applyAlert } from './pond-state.js';
import { openedId, type PondsPageState, type PondsView, viewOf } from './pond-view.js';
import type { AlertWire, ExecutionWire, PondWire } from './pond-wire.js';
import { Repeat } from './repeat.js';

export interface PondsPagePorts {
  api: Api;
  clock: Clock;
  openFeed: OpenPondFeed;
  /** Called with a new view, at most once in 100 ms. */
  show(view: PondsView): void;
  /** False while nobody can see the page: it then asks for nothing. */
  visible(): boolean;
  /** A UUID. */
  newKey(): string;
}

const LIST_EVERY_MS = 5000;
/** Somebody who has just made a pond waits for it. */
const LIST_EVERY_WHEN_EMPTY_MS = 1000;
const RETRY_EVERY_MS = 2000;
const LIST_PAGE = 1000;
const LIST_PAGES = 10;
/** With more ponds than this, only the opened one is followed live; the list tells of the others. */
const FEEDS_AT_ONCE = 24;

const NOTHING: Omit<PondsPageState, 'login' | 'span' | 'reachable' | 'answeredAt'> = {
  username: undefined,
  ponds: undefined,
  opened: undefined,
  pressed: undefined,
  orders: new Map(),
  cancels: new Map(),
  acknowledgements: new Map(),
  problem: undefined,
};

/** What the page "Ponds" does: follows the gateway, keeps the state, shows a view of it, carries out presses. */
export class PondsPage {
  private readonly ports: PondsPagePorts;
  private readonly followed = new Map<number, FollowedPond>();
  private readonly orders = new Map<number, PressedOrder>();
  private readonly list: Repeat;
  private readonly curves = keptCurves();
  private readonly drawing: Drawing;
  private state: PondsPageState = {
    ...NOTHING,
    login: undefined,
    span: '1h',
    reachable: true,
    answeredAt: undefined,
  };
  /** Counts logins: an answer to the one before is nobody's any more. */
  private session = 0;
  private closed = false;

  constructor(ports: PondsPagePorts) {
    this.ports = ports;
    const { clock, api } = ports;
    this.drawing = new Drawing(clock, ports.visible, () =>
      ports.show(viewOf(this.state, this.curves, clock.now())),
    );
    this.list = new Repeat(
      clock,
      () => this.pace(),
      () => this.loadListSafely(),
    );
    if (api.loggedIn) this.update({ username: api.username });
    else this.askForLogin();
    this.draw();
    this.drawing.tick();
    this.list.now();
  }

  /** @param pondId undefined for all ponds */
  open(pondId: number | undefined): void {
    this.update({ opened: pondId });
    this.lookAt();
    this.drawing.now();
  }

  show(span: CurveSpan): void {
    this.update({ span });
    this.lookAt();
    this.drawing.now();
  }

  async feed(pondId: number, grams: number): Promise<void> {
    await this.press(pondId, 'feed', { amount: grams });
  }

  /** @param durationS undefined: until somebody closes it */
  async water(pondId: number, action: 'open' | 'close', durationS?: number): Promise<void> {
    await this.press(
      pondId,
      'water',
      durationS === undefined ? { action } : { action, duration_s: durationS },
    );
  }

  /** An order whose answer did not come, once more: still done at most once. */
  orderAgain(pondId: number): void {
    this.orders.get(pondId)?.again();
  }

  async cancel(pondId: number, executionId: number): Promise<void> {
    await this.ask('cancels', executionId, async () => {
      const answer = await this.post(`automation/executions/${executionId}/cancel/`);
      const execution = answered<ExecutionWire>(answer, 'execution_id');
      if (execution !== undefined) {
        this.followed.get(pondId)?.changePond((pond) => addExecutions(pond, [execution]));
      }
    });
  }

  async acknowledge(pondId: number, alertId: string): Promise<void> {
    await this.ask('acknowledgements', alertId, async () => {
      const answer = await this.post(`automation/alerts/${encodeURIComponent(alertId)}/acknowledge/`);
      const alert = answered<AlertWire>(answer, 'alert_id');
      if (alert !== undefined) {
        this.followed.get(pondId)?.changePond((pond) => applyAlert(pond, alertOf(alert)));
      }
    });
  }

  async loadMore(pondId: number): Promise<void> {
    await this.followed.get(pondId)?.olderExecutions();
  }

  async login(username: string, password: string): Promise<void> {
    const show = (login: LoginState) => {
      this.update({ login });
      this.draw();
    };
    if (!(await logIn(this.ports.api, { username, password }, show))) return;
    // Somebody else may have logged in: nothing of the one before stays.
    if (username !== this.state.username) this.forget();
    this.update({ login: undefined, username });
    for (const pond of this.followed.values()) pond.resume();
    this.retry();
  }

  logout(): void {
    this.ports.api.logout();
    this.forget();
    this.askForLogin();
    this.draw();
  }

  /** After a failure: try everything now. */
  retry(): void {
    this.update({ problem: undefined });
    this.hurry();
  }

  /** The page became visible, or the device has its network back. */
  returned(): void {
    this.hurry();
  }

  close(): void {
    this.closed = true;
    this.list.stop();
    this.drawing.close();
    this.forget();
  }

  private hurry(): void {
    this.list.now();
    for (const pond of this.followed.values()) pond.hurry();
    this.draw();
  }

  // Presses

  private async press(
    pondId: number,
    action: Order['action'],
    body: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    this.orders.get(pondId)?.close();
    const { api, clock, newKey } = this.ports;
    const pressed = new PressedOrder(pondId, action, body, {
      api,
      clock,
      newKey,
      changed: () => this.ordersChanged(),
      loggedOut: () => this.askForLogin(),
    });
    this.orders.set(pondId, pressed);
    this.update({ pressed: pondId });
    this.ordersChanged();
    await pressed.send();
  }

  /** An order that is in the pond's history is told by that. */
  private ordersChanged(): void {
    for (const [pondId, { order }] of this.orders) {
      if (order.state.kind !== 'answered') continue;
      const { executionId } = order.state;
      const executions = this.followed.get(pondId)?.shown.pond.executions ?? [];
      if (executions.some((execution) => execution.executionId === executionId)) this.orders.delete(pondId);
    }
    this.update({ orders: new Map([...this.orders].map(([pondId, { order }]) => [pondId, order])) });
    this.draw();
  }

  private post(path: string): Promise<unknown> {
    return this.ports.api.request(path, { method: 'POST', idempotencyKey: this.ports.newKey() });
  }

  /** Shows that it was pressed, and what went wrong; what went well is seen by itself. */
  private async ask<Name extends 'cancels' | 'acknowledgements'>(
    name: Name,
    key: Name extends 'cancels' ? number : string,
    task: () => Promise<void>,
  ): Promise<void> {
    const become = (asked: Asked | undefined) => {
      const all = new Map<unknown, Asked>(this.state[name]);
      if (asked === undefined) all.delete(key);
      else all.set(key, asked);
      this.update({ [name]: all });
      this.draw();
    };
    become({ kind: 'pending' });
    try {
      await task();
      become(undefined);
    } catch (error) {
      const { status, message } = asApiError(error);
      if (status === 401) this.askForLogin();
      become({ kind: 'failed', message });
    }
  }

  // What it asks for by itself

  private pace(): number {
    if (!this.state.reachable) return RETRY_EVERY_MS;
    return this.state.ponds?.length === 0 ? LIST_EVERY_WHEN_EMPTY_MS : LIST_EVERY_MS;
  }

  private async loadListSafely(): Promise<void> {
    if (this.closed || !this.ports.visible() || this.state.login !== undefined) return;
    const { session } = this;
    try {
      await this.loadList();
    } catch (error) {
      if (session === this.session) this.failed(error);
    }
  }

  private async loadList(): Promise<void> {
    const { session } = this;
    const wires: PondWire[] = [];
    const path = `automation/ponds/?limit=${LIST_PAGE}`;
    for await (const items of listPages<PondWire>(this.ports.api, path, LIST_PAGES)) wires.push(...items);
    if (this.closed || session !== this.session) return;
    const wasReachable = this.state.reachable;
    this.update({ reachable: true, answeredAt: this.ports.clock.now(), problem: undefined });
    if (!wasReachable) for (const pond of this.followed.values()) pond.hurry();
    this.takeList(wires.sort((a, b) => a.pond_id - b.pond_id));
  }

  private takeList(wires: readonly PondWire[]): void {
    const listed = new Set(wires.map(({ pond_id }) => pond_id));
    for (const [pondId, pond] of this.followed) {
      if (listed.has(pondId)) continue;
      pond.close();
      this.followed.delete(pondId);
    }
    for (const wire of wires) {
      const known = this.followed.get(wire.pond_id);
      if (known === undefined) this.followed.set(wire.pond_id, this.newPond(wire));
      else known.listed(wire);
    }
    const { opened } = this.state;
    if (opened !== undefined && !listed.has(opened)) this.update({ opened: undefined });
    this.pondsChanged();
    this.lookAt();
  }

  private newPond(wire: PondWire): FollowedPond {
    const { api, clock, openFeed } = this.ports;
    return new FollowedPond(wire, {
      api,
      clock,
      openFeed,
      failed: (error) => this.failed(error),
      changed: () => this.pondsChanged(),
    });
  }

  /** Follows what is to be followed, and loads the past of the one that somebody looks at. */
  private lookAt(): void {
    const opened = openedId(this.state);
    const all = this.followed.size <= FEEDS_AT_ONCE;
    for (const [pondId, pond] of this.followed) {
      pond.follow(all || pondId === opened);
      pond.look(pondId === opened ? this.state.span : undefined);
    }
  }

  private pondsChanged(): void {
    const ponds = [...this.followed.values()]
      .map(({ shown }) => shown)
      .sort((a, b) => a.pond.pondId - b.pond.pondId);
    if (ponds.some(({ feed }) => feed?.kind === 'refused' && feed.reason === 'unauthenticated')) {
      this.askForLogin();
    }
    this.update({ ponds });
    this.ordersChanged();
  }

  private failed(error: unknown): void {
    if (isUnreachable(error)) {
      this.update({ reachable: false });
      for (const pond of this.followed.values()) pond.doubt();
    } else if (asApiError(error).status === 401) {
      this.askForLogin();
    } else {
      this.update({ problem: problemOf(error) });
    }
    this.draw();
  }

  private askForLogin(): void {
    if (this.state.login === undefined) this.update({ login: { pending: false, error: undefined } });
    this.draw();
  }

  /** Nothing of a login stays when it ends. */
  private forget(): void {
    this.session += 1;
    for (const pond of this.followed.values()) pond.close();
    for (const order of this.orders.values()) order.close();
    this.followed.clear();
    this.orders.clear();
    this.update(NOTHING);
  }

  private update(part: Partial<PondsPageState>): void {
    this.state = { ...this.state, ...part };
  }

  private draw(): void {
    this.drawing.draw();
  }
}

/** What the gateway tells of the thing that it changed, bare or as `data`; undefined where it tells nothing. */
function answered<Wire extends object>(answer: unknown, id: keyof Wire & string): Wire | undefined {
  const { data } = (answer ?? {}) as { data?: unknown };
  const found = [data, answer].find((one) => typeof one === 'object' && one !== null && id in one);
  return found as Wire | undefined;
}
