import type { Clock } from '../lib/core/clock.js';
import { type Api, asApiError, isUnreachable, problemOf, refusalText } from './api.js';
import { Drawing } from './drawing.js';
import type { DeploymentAction, RolloutAction } from './firmware-actions.js';
import { type CheckedDraft, fieldOf } from './firmware-draft.js';
import { loadFleet } from './firmware-fleet.js';
import { ImageStore, NO_IMAGES } from './firmware-image-store.js';
import type { TargetFilter } from './firmware-targets.js';
import { type FirmwarePageState, type FirmwareView, type Press, viewOf } from './firmware-view.js';
import type { DeploymentWire, RolloutWire } from './firmware-wire.js';
import { FollowedRollout, type OpenRolloutFeed } from './followed-rollout.js';
import type { ListWire } from './lists.js';
import { type LoginState, logIn } from './login.js';
import { Repeat } from './repeat.js';

export interface FirmwarePagePorts {
  api: Api;
  clock: Clock;
  openFeed: OpenRolloutFeed;
  /** Called with a new view, at most once in 100 ms. */
  show(view: FirmwareView): void;
  /** False while nobody can see the page: it then asks for nothing. */
  visible(): boolean;
}

const LIST_EVERY_MS = 3000;
const RETRY_EVERY_MS = 2000;
const LIST_PAGE = 50;
/** Images change seldom, and by this page at once. */
const IMAGES_EVERY = 5;
/** Presses that are told of; older ones nobody looks for. */
const PRESSES_KEPT = 20;

/** What the page "Firmware" does: follows the gateway, keeps the state, shows a view of it, carries out presses. */
export class FirmwarePage {
  private readonly ports: FirmwarePagePorts;
  private readonly list: Repeat;
  /** Who has seen what the page holds, also after their login has run out. */
  private reader: string | undefined;
  /** Counts logins: an answer to the one before is nobody's any more. */
  private session = 0;
  private readonly drawing: Drawing;
  private followed: FollowedRollout | undefined;
  private readonly images: ImageStore;
  /** What was pressed before the gateway asked for a login. */
  private afterLogin: (() => Promise<void>) | undefined;
  private older: RolloutWire[] = [];
  private cursor: string | null | undefined;
  private listed = 0;
  private closed = false;
  private state: FirmwarePageState = {
    ...{ username: undefined, rollouts: undefined, moreRollouts: false, images: NO_IMAGES, fleet: undefined },
    ...{ place: 'list', opened: undefined, presses: [] },
    ...{ creating: undefined, reachable: true, answeredAt: undefined, problem: undefined, login: undefined },
  };

  constructor(ports: FirmwarePagePorts) {
    this.ports = ports;
    const { clock, api } = ports;
    this.drawing = new Drawing(clock, ports.visible, () => ports.show(viewOf(this.state, clock.now())));
    this.list = new Repeat(
      clock,
      () => (this.state.reachable ? LIST_EVERY_MS : RETRY_EVERY_MS),
      () => this.loadSafely(),
    );
    this.images = new ImageStore({
      api,
      changed: (images) => this.change({ images }),
      loggedOut: (again) => this.askForLogin('change', again),
    });
    this.reader = api.username;
    this.update({ username: api.username });
    this.draw();
    this.drawing.tick();
    this.list.now();
  }

  // Places

  /** @param rolloutId undefined for the list */
  open(rolloutId: string | undefined): void {
    this.unfollow();
    if (rolloutId === undefined) this.update({ place: 'list', opened: undefined });
    else this.follow(rolloutId);
    this.list.now();
    this.drawing.now();
  }

  /** The form of a new rollout. */
  openNew(): void {
    this.unfollow();
    this.update({ place: 'new', opened: undefined, creating: undefined });
    void this.trying(() => this.loadControllers());
    this.drawing.now();
  }

  filter(filter: Partial<TargetFilter>): void {
    this.followed?.filter(filter);
  }

  moreTargets(): void {
    this.followed?.more();
  }

  /** @param deploymentId undefined: closes the timeline */
  openTarget(deploymentId: string | undefined): void {
    this.followed?.open(deploymentId);
  }

  async moreRollouts(): Promise<void> {
    await this.trying(async () => {
      const page = await this.rolloutsPage(this.cursor);
      this.older = [...this.older, ...page.items];
      this.cursor = page.next_cursor;
      this.update({ moreRollouts: Boolean(page.next_cursor) });
      this.takeRollouts((this.state.rollouts ?? []).concat(page.items));
    });
  }

  // Presses

  async act(rolloutId: string, action: RolloutAction): Promise<void> {
    await this.press(rolloutId, action, async () => {
      const answer = await this.post(`firmware/rollouts/${encodeURIComponent(rolloutId)}/${action}`);
      this.followed?.answered(answer as RolloutWire);
      if (action === 'retry') this.followed?.retried();
    });
  }

  async actOnTarget(deploymentId: string, action: DeploymentAction): Promise<void> {
    const { followed } = this;
    if (followed === undefined) return;
    await this.press(deploymentId, action, async () => {
      if (action === 'retry') {
        const path = `firmware/rollouts/${encodeURIComponent(followed.shown.rolloutId)}/retry`;
        followed.answered((await this.post(path, { deployment_ids: [deploymentId] })) as RolloutWire);
        followed.retried();
        followed.open(deploymentId);
      } else {
        const path = `firmware/deployments/${encodeURIComponent(deploymentId)}/${action}`;
        followed.answeredDeployment((await this.post(path)) as DeploymentWire);
      }
    });
  }

  /** @param start false: a draft that somebody starts later */
  async create(checked: CheckedDraft, start: boolean): Promise<void> {
    const { request, sent } = checked;
    if (request === undefined || this.state.creating?.kind === 'pending') return;
    this.update({ creating: { kind: 'pending' } });
    this.draw();
    try {
      const made = (await this.post('firmware/rollouts', { ...request, start })) as RolloutWire;
      this.update({ creating: undefined });
      this.takeRollouts([made, ...(this.state.rollouts ?? [])]);
      this.open(made.id);
    } catch (error) {
      const { status, message, pointer } = asApiError(error);
      const field = fieldOf(pointer, sent);
      this.update({
        creating: {
          kind: 'failed',
          message: refusalText(status, status === 0 ? NO_ANSWER : message, CHANGE),
          problems: field === undefined ? {} : { [field]: message },
        },
      });
      if (status === 401) this.askForLogin('change', () => this.create(checked, start));
    }
    this.draw();
  }

  async upload(file: Blob, version: string): Promise<void> {
    await this.images.upload(file, version);
  }

  breakUploadOff(): void {
    this.images.breakOff();
  }

  async removeImage(imageId: string): Promise<void> {
    await this.images.remove(imageId);
  }

  // Login

  async login(username: string, password: string): Promise<void> {
    const purpose = this.state.login?.purpose ?? 'read';
    const show = (form: LoginState) => this.change({ login: { ...form, purpose } });
    if (!(await logIn(this.ports.api, { username, password }, show))) return;
    // Somebody else may see other rollouts: nothing of the one before stays.
    const wasOther = this.reader !== undefined && this.reader !== username;
    if (wasOther) this.forget();
    this.reader = username;
    const { afterLogin } = this;
    this.afterLogin = undefined;
    this.update({ login: undefined, username });
    this.followed?.resume();
    this.retry();
    if (!wasOther) await afterLogin?.();
  }

  /** Gives up a login that only a press has asked for. */
  cancelLogin(): void {
    if (this.state.login?.purpose !== 'change') return;
    this.afterLogin = undefined;
    this.change({ login: undefined });
  }

  logout(): void {
    this.ports.api.logout();
    this.forget();
    this.list.now();
    this.draw();
  }

  /** After a failure: try everything now. */
  retry(): void {
    this.update({ problem: undefined });
    this.returned();
  }

  /** The page became visible, or the device has its network back. */
  returned(): void {
    this.list.now();
    this.followed?.hurry();
    this.draw();
  }

  close(): void {
    this.closed = true;
    this.list.stop();
    this.drawing.close();
    this.images.breakOff();
    this.followed?.close();
  }

  private post(path: string, body?: unknown): Promise<unknown> {
    return this.ports.api.request(path, { method: 'POST', ...(body !== undefined && { body }) });
  }

  /** Shows that it was pressed, and what became of it. */
  private async press(id: string, action: Press['action'], task: () => Promise<void>): Promise<void> {
    const become = (outcome: Press['outcome']) => {
      const others = this.state.presses.filter((press) => press.id !== id);
      this.change({ presses: [{ id, action, outcome }, ...others].slice(0, PRESSES_KEPT) });
    };
    become({ kind: 'pending' });
    try {
      await task();
      become({ kind: 'done', at: this.ports.clock.now() });
      this.list.now();
    } catch (error) {
      const { status, message } = asApiError(error);
      become({ kind: 'failed', message: refusalText(status, message, CHANGE) });
      if (status === 401) this.askForLogin('change', () => this.press(id, action, task));
    }
  }

  // What it asks for by itself

  private async loadSafely(): Promise<void> {
    if (this.closed || !this.ports.visible() || this.state.login?.purpose === 'read') return;
    await this.trying(() => this.load());
  }

  private async trying(task: () => Promise<void>): Promise<void> {
    const { session } = this;
    try {
      await task();
    } catch (error) {
      if (!this.closed && session === this.session) this.failed(error);
    }
  }

  private async load(): Promise<void> {
    const { session } = this;
    const wasReachable = this.state.reachable;
    const page = await this.rolloutsPage(undefined);
    if (this.closed || session !== this.session) return;
    this.update({ reachable: true, answeredAt: this.ports.clock.now(), problem: undefined });
    if (!wasReachable) this.followed?.hurry();
    if (this.older.length === 0) {
      this.cursor = page.next_cursor;
      this.update({ moreRollouts: Boolean(page.next_cursor) });
    }
    this.takeRollouts([...page.items, ...this.older]);
    if (this.listed % IMAGES_EVERY === 0) await this.images.load();
    if (session !== this.session) return;
    // Only where somebody is told what to do first.
    if (this.state.rollouts?.length === 0 || this.state.place === 'new') await this.loadControllers();
    this.listed += 1;
    this.draw();
  }

  private async rolloutsPage(cursor: string | null | undefined): Promise<ListWire<RolloutWire>> {
    const from = cursor ? `&cursor=${encodeURIComponent(cursor)}` : '';
    return (await this.ports.api.request(
      `firmware/rollouts?limit=${LIST_PAGE}${from}`,
    )) as ListWire<RolloutWire>;
  }

  private async loadControllers(): Promise<void> {
    const { session } = this;
    const fleet = await loadFleet(this.ports.api);
    if (session !== this.session) return;
    // Unchanged it stays the same object: what is chosen in it is drawn from it.
    if (JSON.stringify(fleet) !== JSON.stringify(this.state.fleet)) this.change({ fleet });
  }

  private takeRollouts(rollouts: readonly RolloutWire[]): void {
    const newest = new Map<string, RolloutWire>();
    for (const rollout of rollouts) if (!newest.has(rollout.id)) newest.set(rollout.id, rollout);
    this.change({ rollouts: [...newest.values()].sort((a, b) => (a.id < b.id ? 1 : -1)) });
  }

  private follow(rolloutId: string): void {
    const { api, clock, openFeed } = this.ports;
    const known = this.state.rollouts?.find(({ id }) => id === rolloutId);
    this.followed = new FollowedRollout(rolloutId, known, {
      ...{ api, clock, openFeed },
      failed: (error) => this.failed(error),
      // It changes as it is made, too.
      changed: () => this.followedChanged(),
    });
    this.update({ place: 'rollout' });
    this.followedChanged();
  }

  private followedChanged(): void {
    const opened = this.followed?.shown;
    if (opened === undefined) return;
    if (opened.feed.kind === 'refused') {
      if (opened.feed.reason === 'unauthenticated') this.askForLogin('read');
      else if (opened.rollout === undefined) this.update({ place: 'list' });
    }
    this.change({ opened });
  }

  private forget(): void {
    this.session += 1;
    this.unfollow();
    this.older = [];
    this.update({ username: undefined, place: 'list', opened: undefined, rollouts: undefined, presses: [] });
    this.images.forget();
    this.update({ fleet: undefined });
    this.listed = 0;
  }

  private unfollow(): void {
    this.followed?.close();
    this.followed = undefined;
  }

  private failed(error: unknown): void {
    const { status } = asApiError(error);
    if (isUnreachable(error)) {
      this.update({ reachable: false });
      this.followed?.doubt();
    } else if (status === 401) {
      this.askForLogin('read');
    } else {
      this.update({ problem: problemOf(error) });
    }
    this.draw();
  }

  private askForLogin(purpose: 'read' | 'change', after?: () => Promise<void>): void {
    this.afterLogin = after;
    // Whatever login there was is no longer any good.
    this.update({ username: this.ports.api.username });
    if (this.state.login?.purpose !== purpose) {
      this.update({ login: { pending: false, error: undefined, purpose } });
    }
    this.draw();
  }

  private change(part: Partial<FirmwarePageState>): void {
    this.update(part);
    this.draw();
  }

  private update(part: Partial<FirmwarePageState>): void {
    this.state = { ...this.state, ...part };
  }

  private draw(): void {
    this.drawing.draw();
  }
}

const NO_ANSWER =
  'The gateway did not answer. It may have taken it all the same: look at the list before you send it again.';
const CHANGE = 'This login may not change these controllers.';
