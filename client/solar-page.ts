import type { Clock } from '../lib/core/clock.js';
import { type Api, asApiError, isUnreachable, problemOf } from './api.js';
import { Drawing } from './drawing.js';
import { FollowedCompany, type OpenCompanyFeed } from './followed-company.js';
import { FollowedMachine } from './followed-machine.js';
import type { ListWire } from './lists.js';
import { type LoginState, logIn } from './login.js';
import { Repeat } from './repeat.js';
import { byName, changeOf, machineKey, rowOf } from './solar-fleet.js';
import { formOf } from './solar-form.js';
import type { Column, Filter } from './solar-list.js';
import type { Offers } from './solar-opened.js';
import { Orders, type Press } from './solar-orders.js';
import { keptCurves, type Span } from './solar-series.js';
import {
  type Listing,
  machineOfKey,
  type SolarLogin,
  type SolarPageState,
  type SolarView,
  viewOf,
} from './solar-view.js';
import type { OffersWire, SolarMessage, StatusChangeWire } from './solar-wire.js';

export interface SolarPagePorts {
  api: Api;
  clock: Clock;
  openFeed: OpenCompanyFeed;
  /** Called with a new view, at most once in 100 ms. */
  show(view: SolarView): void;
  /** False while nobody can see the page: it then asks for nothing. */
  visible(): boolean;
}

const COMPANIES_EVERY_MS = 5000;
/** Somebody who has just connected a machine waits for it. */
const COMPANIES_EVERY_WHEN_EMPTY_MS = 500;
const RETRY_EVERY_MS = 2000;
/** Each company is one connection; with more than this, the page begins with one of them. */
const COMPANIES_AT_ONCE = 6;

const NOTHING: Pick<
  SolarPageState,
  'username' | 'companies' | 'chosen' | 'shown' | 'opened' | 'past' | 'offers' | 'sent' | 'problem'
> = {
  username: undefined,
  companies: undefined,
  chosen: undefined,
  shown: [],
  opened: undefined,
  past: undefined,
  offers: new Map(),
  sent: [],
  problem: undefined,
};

/** What the page "Solar" does: follows the gateway, keeps the state, shows a view of it, carries out presses. */
export class SolarPage {
  private readonly ports: SolarPagePorts;
  private readonly followed = new Map<string, FollowedCompany>();
  private readonly companies: Repeat;
  private readonly curves = keptCurves();
  private readonly drawing: Drawing;
  private readonly orders: Orders;
  private machine: FollowedMachine | undefined;
  private afterLogin: Press | undefined;
  private hasChosen = false;
  /** Counts logins: an answer to the one before is nobody's any more. */
  private session = 0;
  private closed = false;
  private state: SolarPageState = {
    ...NOTHING,
    listing: { as: 'tiles', filter: 'all', text: '', sort: { column: 'machine', descending: false } },
    span: '1h',
    reachable: true,
    answeredAt: undefined,
    login: undefined,
  };

  constructor(ports: SolarPagePorts) {
    this.ports = ports;
    const { clock, api } = ports;
    this.drawing = new Drawing(clock, ports.visible, () =>
      ports.show(viewOf(this.state, this.curves, clock.now())),
    );
    this.orders = new Orders({
      api,
      clock,
      changed: () => this.ordersChanged(),
      wantsLogin: (press) => {
        this.afterLogin = press;
        this.askForLogin('command');
        this.draw();
      },
    });
    this.companies = new Repeat(
      clock,
      () => this.pace(),
      () => this.whenWanted(() => this.loadCompanies()),
    );
    this.update({ username: api.username });
    this.draw();
    this.drawing.tick();
    this.companies.now();
  }

  /** @param companyId undefined for all companies */
  choose(companyId: string | undefined): void {
    this.hasChosen = true;
    this.update({ chosen: companyId });
    this.follow();
    this.drawing.now();
  }

  filter(filter: Filter): void {
    this.list({ filter });
  }

  find(text: string): void {
    this.list({ text });
  }

  listAs(as: Listing['as']): void {
    this.list({ as });
  }

  /** The same column once more turns it round. */
  sortBy(column: Column): void {
    const { sort } = this.state.listing;
    this.list({ sort: { column, descending: sort.column === column && !sort.descending } });
  }

  /** @param key undefined for the list */
  open(key: string | undefined): void {
    if (key === this.state.opened) return;
    this.machine?.close();
    this.machine = undefined;
    const machine = machineOfKey(this.state.shown, key);
    this.update({ opened: machine?.key, past: undefined });
    if (machine !== undefined) {
      const { api, clock } = this.ports;
      const opened = new FollowedMachine(
        machine.companyId,
        machine.machineId,
        this.state.span,
        machine.telemetry,
        {
          api,
          clock,
          ask: (task) => this.whenReachable(task),
          failed: (error) => this.failed(error),
          changed: () => this.pastChanged(),
        },
      );
      this.machine = opened;
      this.pastChanged();
      this.loadOffers(machine.companyId);
    }
    this.drawing.now();
  }

  show(span: Span): void {
    this.update({ span });
    this.machine?.look(span);
    this.drawing.now();
  }

  /** Sends a command to the machine that is open. */
  async send(command: string, params: Readonly<Record<string, unknown>>): Promise<void> {
    const machine = machineOfKey(this.state.shown, this.state.opened);
    if (machine !== undefined) await this.orders.send({ machine, command, params });
  }

  async login(username: string, password: string): Promise<void> {
    const purpose = this.state.login?.purpose ?? 'read';
    const show = (form: LoginState) => {
      this.update({ login: { ...form, purpose } });
      this.draw();
    };
    if (!(await logIn(this.ports.api, { username, password }, show))) return;
    // Somebody else may see other companies: nothing of the one before stays.
    const wasOther = this.state.username !== undefined && this.state.username !== username;
    if (wasOther) this.forget();
    this.update({ login: undefined, username });
    for (const company of this.followed.values()) company.resume();
    this.retry();
    const press = this.afterLogin;
    this.afterLogin = undefined;
    if (press !== undefined && !wasOther) await this.orders.send(press);
  }

  /** Gives up a login that only a command asked for. */
  cancelLogin(): void {
    if (this.state.login?.purpose !== 'command') return;
    this.afterLogin = undefined;
    this.update({ login: undefined });
    this.draw();
  }

  logout(): void {
    this.ports.api.logout();
    this.forget();
    this.companies.now();
    this.draw();
  }

  /** After a failure: try everything now. */
  retry(): void {
    this.update({ problem: undefined });
    this.returned();
  }

  /** The page became visible, or the device has its network back. */
  returned(): void {
    this.companies.now();
    for (const company of this.followed.values()) company.hurry();
    this.draw();
  }

  close(): void {
    this.closed = true;
    this.companies.stop();
    this.orders.close();
    this.drawing.close();
    this.forget();
  }

  private list(part: Partial<Listing>): void {
    this.update({ listing: { ...this.state.listing, ...part } });
    this.drawing.now();
  }

  // What it asks for by itself

  private pace(): number {
    if (!this.state.reachable) return RETRY_EVERY_MS;
    return this.state.companies?.length === 0 ? COMPANIES_EVERY_WHEN_EMPTY_MS : COMPANIES_EVERY_MS;
  }

  private async whenWanted(task: () => Promise<void>): Promise<void> {
    if (this.closed || !this.ports.visible() || this.state.login?.purpose === 'read') return;
    const { session } = this;
    try {
      await task();
    } catch (error) {
      if (session === this.session) this.failed(error);
    }
  }

  /** While the gateway does not answer, only the companies are asked for: one sign of life is enough. */
  private async whenReachable(task: () => Promise<void>): Promise<void> {
    if (this.state.reachable) await this.whenWanted(task);
  }

  private async loadCompanies(): Promise<void> {
    const { session } = this;
    const wasReachable = this.state.reachable;
    const { items } = (await this.ports.api.request('companies')) as ListWire<{ company_id: string }>;
    if (this.closed || session !== this.session) return;
    const companies = items.map(({ company_id }) => company_id).sort(byName);
    const news = companies.join('/') !== this.state.companies?.join('/');
    this.update({ reachable: true, answeredAt: this.ports.clock.now(), problem: undefined });
    if (!wasReachable) for (const company of this.followed.values()) company.hurry();
    if (!news) return;
    if (!this.hasChosen && companies.length > COMPANIES_AT_ONCE) this.update({ chosen: companies[0] });
    const isGone = this.state.chosen !== undefined && !companies.includes(this.state.chosen);
    this.update({ companies, ...(isGone && { chosen: undefined }) });
    this.follow();
    this.draw();
  }

  private loadOffers(companyId: string): void {
    const known = this.state.offers.get(companyId);
    const become = (offers: Offers) => {
      this.update({ offers: new Map(this.state.offers).set(companyId, offers) });
      this.draw();
    };
    // What is known stays while it is asked for again: a flow may have been deployed.
    if (known?.kind !== 'known') become({ kind: 'loading' });
    const { session } = this;
    this.ports.api.request(`companies/${encodeURIComponent(companyId)}/commands`).then(
      (answer) => {
        const { any, items } = answer as OffersWire;
        const offered = items.map(({ command, params }) => ({ command, form: formOf(params) }));
        if (session === this.session) become({ kind: 'known', any, items: offered });
      },
      (error: unknown) => {
        if (session !== this.session || known?.kind === 'known') return;
        const { status, message } = asApiError(error);
        become(status === 404 ? { kind: 'none' } : { kind: 'failed', message });
      },
    );
  }

  private failed(error: unknown): void {
    const { status } = asApiError(error);
    if (isUnreachable(error)) {
      this.update({ reachable: false });
      for (const company of this.followed.values()) company.doubt();
    } else if (status === 401) this.askForLogin('read');
    else this.update({ problem: problemOf(error) });
    this.draw();
  }

  // Following companies

  private follow(): void {
    const { companies = [], chosen } = this.state;
    const wanted = chosen === undefined ? companies : [chosen];
    for (const companyId of [...this.followed.keys()]) {
      if (!wanted.includes(companyId)) this.unfollow(companyId);
    }
    for (const companyId of wanted) {
      if (this.followed.has(companyId)) continue;
      const company = new FollowedCompany(companyId, {
        openFeed: this.ports.openFeed,
        changed: (message) => {
          this.companiesChanged();
          if (message !== undefined) this.heard(companyId, message);
        },
      });
      this.followed.set(companyId, company);
    }
    this.companiesChanged();
    if (machineOfKey(this.state.shown, this.state.opened) === undefined) this.open(undefined);
  }

  private unfollow(companyId: string): void {
    this.followed.get(companyId)?.close();
    this.followed.delete(companyId);
  }

  private companiesChanged(): void {
    const shown = [...this.followed.values()]
      .map((company) => company.shown)
      .sort((a, b) => byName(a.fleet.companyId, b.fleet.companyId));
    if (shown.some(({ feed }) => feed.kind === 'refused' && feed.reason === 'unauthenticated')) {
      this.askForLogin('read');
    }
    this.update({ shown });
    this.draw();
  }

  /** What the opened machine, or one that was sent a command, says. */
  private heard(companyId: string, message: SolarMessage): void {
    const { opened } = this.state;
    if (message.type === 'snapshot') {
      if (opened?.startsWith(`${companyId}/`)) this.machine?.loadAll();
      return;
    }
    const key = machineKey(companyId, message.machine_id);
    if (message.type === 'status') {
      const machine = machineOfKey(this.state.shown, key);
      if (machine !== undefined) this.orders.heard(machine);
      if (key === opened && message.data.at !== undefined) {
        this.machine?.takeChange(changeOf(message.data as StatusChangeWire));
      }
    } else if (message.type === 'telemetry' && key === opened) this.machine?.take(rowOf(message.data));
  }

  private pastChanged(): void {
    if (this.machine !== undefined) this.update({ past: this.machine.past });
    this.draw();
  }

  // State and drawing

  private ordersChanged(): void {
    this.update({ sent: this.orders.list });
    this.draw();
  }

  private askForLogin(purpose: SolarLogin['purpose']): void {
    if (this.state.login?.purpose !== purpose)
      this.update({ login: { pending: false, error: undefined, purpose } });
  }

  private forget(): void {
    this.session += 1;
    this.machine?.close();
    this.machine = undefined;
    for (const companyId of [...this.followed.keys()]) this.unfollow(companyId);
    this.orders.forget();
    this.hasChosen = false;
    this.update(NOTHING);
  }

  private update(part: Partial<SolarPageState>): void {
    this.state = { ...this.state, ...part };
  }

  private draw(): void {
    this.drawing.draw();
  }
}
