import type { Clock } from '../lib/core/clock.js';
import { type Api, asApiError, isUnreachable, problemOf } from './api.js';
import { Drawing } from './drawing.js';
import { type LoginState, logIn } from './login.js';
import { type OverviewPageState, type OverviewView, viewOf } from './overview-view.js';
import type { OverviewWire } from './overview-wire.js';
import { NOTHING_REFUSED, RefusedMessages } from './refused-messages.js';
import { Repeat } from './repeat.js';

export interface OverviewPagePorts {
  api: Api;
  clock: Clock;
  /** Called with a new view, at most once in 100 ms. */
  show(view: OverviewView): void;
  /** False while nobody can see the page: it then asks for nothing. */
  visible(): boolean;
}

const ASK_EVERY_MS = 2000;

/** What the page "Overview" does: asks the gateway how all is, keeps the state, shows a view of it. */
export class OverviewPage {
  private readonly ports: OverviewPagePorts;
  private readonly overview: Repeat;
  private readonly refused: RefusedMessages;
  private readonly drawing: Drawing;
  private state: OverviewPageState = {
    username: undefined,
    overview: undefined,
    reachable: true,
    answeredAt: undefined,
    retryAt: undefined,
    problem: undefined,
    login: undefined,
    refused: NOTHING_REFUSED,
  };
  /** Counts logins: an answer to the one before is nobody's any more. */
  private session = 0;
  private closed = false;

  constructor(ports: OverviewPagePorts) {
    this.ports = ports;
    const { clock, api } = ports;
    this.drawing = new Drawing(clock, ports.visible, () => ports.show(viewOf(this.state, clock.now())));
    this.overview = new Repeat(
      clock,
      () => ASK_EVERY_MS,
      () => this.load(),
    );
    this.refused = new RefusedMessages({
      api,
      clock,
      changed: (refused) => {
        this.update({ refused });
        this.draw();
      },
      wantsLogin: () => this.askForLogin('replay'),
    });
    this.update({ username: api.username });
    this.draw();
    this.drawing.tick();
    this.overview.now();
  }

  /** Opens the messages of a protocol that were refused. */
  async openRefused(protocol: string): Promise<void> {
    await this.refused.open(protocol).catch((error: unknown) => this.failed(error));
  }

  async replay(id: string): Promise<void> {
    await this.refused.replay(id);
    this.overview.now();
  }

  /** After a failure: try now. */
  retry(): void {
    this.update({ problem: undefined });
    this.overview.now();
    this.draw();
  }

  /** Somebody wants to see what only a login shows. */
  askToLogIn(): void {
    this.askForLogin('more');
  }

  cancelLogin(): void {
    if (this.state.login?.purpose === 'read') return;
    this.refused.forgetWish();
    this.update({ login: undefined });
    this.draw();
  }

  async login(username: string, password: string): Promise<void> {
    const purpose = this.state.login?.purpose ?? 'more';
    const show = (form: LoginState) => {
      this.update({ login: { ...form, purpose } });
      this.draw();
    };
    if (!(await logIn(this.ports.api, { username, password }, show))) return;
    this.session += 1;
    this.update({ login: undefined, username });
    this.retry();
    await this.refused.replayWished();
  }

  logout(): void {
    this.ports.api.logout();
    this.session += 1;
    this.refused.forget();
    this.update({ username: undefined, overview: undefined, answeredAt: undefined });
    this.retry();
  }

  /** The page became visible, or the device has its network back. */
  returned(): void {
    this.overview.now();
    this.draw();
  }

  close(): void {
    this.closed = true;
    this.overview.stop();
    this.drawing.close();
  }

  private async load(): Promise<void> {
    const { api, clock, visible } = this.ports;
    if (this.closed || !visible() || this.state.login?.purpose === 'read') return;
    const { session } = this;
    try {
      const overview = (await api.request('overview')) as OverviewWire;
      if (this.closed || session !== this.session) return;
      const answeredAt = clock.now();
      // Its login may have ended: the ponds say so then.
      const username = api.username;
      this.update({
        overview,
        username,
        answeredAt,
        reachable: true,
        retryAt: undefined,
        problem: undefined,
      });
      this.draw();
    } catch (error) {
      if (!this.closed && session === this.session) this.failed(error);
    }
  }

  private failed(error: unknown): void {
    if (isUnreachable(error)) {
      this.update({ reachable: false, retryAt: this.ports.clock.now() + ASK_EVERY_MS });
    } else if (asApiError(error).status === 401) {
      this.askForLogin('read');
    } else {
      this.update({ reachable: true, problem: problemOf(error) });
    }
    this.draw();
  }

  private askForLogin(purpose: 'read' | 'more' | 'replay'): void {
    if (this.state.login?.purpose !== purpose) {
      this.update({ login: { pending: false, error: undefined, purpose } });
    }
    this.draw();
  }

  private update(part: Partial<OverviewPageState>): void {
    this.state = { ...this.state, ...part };
  }

  private draw(): void {
    if (!this.closed) this.drawing.draw();
  }
}
