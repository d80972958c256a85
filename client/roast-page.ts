import type { Clock } from '../lib/core/clock.js';
import type { EventType } from '../lib/roast/event.js';
import { type Api, asApiError, isUnreachable, problemOf } from './api.js';
import { Drawing } from './drawing.js';
import { type FiredAlarm, FollowedRoaster, type OpenRoastFeed } from './followed-roaster.js';
import { type LoginState, logIn } from './login.js';
import { Repeat } from './repeat.js';
import { type AlarmDraft, alarmsOfDrafts } from './roast-alarm-draft.js';
import { RoastLibrary } from './roast-library.js';
import { type MachineDraft, machineBody } from './roast-machine-draft.js';
import { type SaveDraft, saveBody } from './roast-save-draft.js';
import type { TemperatureUnit } from './roast-units.js';
import { type RoastPageState, type RoastView, viewOf } from './roast-view.js';
import type { AlarmWire, MachineWire, ProfileHeadWire, SessionAction } from './roast-wire.js';

/** Where a person's choices last: `localStorage` in a browser. */
export interface RoastPreferences {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

export interface RoastPagePorts {
  api: Api;
  clock: Clock;
  openFeed: OpenRoastFeed;
  preferences: RoastPreferences;
  /** Called with a new view, at most once in 100 ms. */
  show(view: RoastView): void;
  /** False while nobody can see the page: it then asks for nothing. */
  visible(): boolean;
  /** Makes itself heard. */
  sound(severity: AlarmWire['severity']): void;
  keepFile(name: string, content: string, type: string): void;
}

const LIST_EVERY_MS = 5000;
/** Somebody who has just made a roaster waits for it. */
const LIST_EVERY_WHEN_EMPTY_MS = 1000;
const RETRY_EVERY_MS = 2000;
const KEY = 'fieldloom.roast';
/** So many dismissed alarms are remembered: those of the last roasts. */
const DISMISSED = 200;

interface Preferences {
  machine?: string;
  unit?: TemperatureUnit;
  sound?: boolean;
  background?: string;
  /** Alarms, newest last. */
  dismissed?: string[];
}

/** What the page "Roast" does: follows a machine, keeps the state, shows a view of it, carries out presses. */
export class RoastPage {
  readonly library: RoastLibrary;
  private readonly ports: RoastPagePorts;
  private readonly list: Repeat;
  private readonly drawing: Drawing;
  private state: RoastPageState = {
    login: undefined,
    username: undefined,
    machines: undefined,
    unit: 'C',
    sound: false,
    reachable: true,
    answeredAt: undefined,
    problem: undefined,
    asked: undefined,
  };
  private followed: FollowedRoaster | undefined;
  /** Counts logins: an answer to the one before is nobody's any more. */
  private session = 0;
  private closed = false;

  constructor(ports: RoastPagePorts) {
    this.ports = ports;
    const { clock, api } = ports;
    const { unit = 'C', sound = false, background } = this.preferences();
    this.update({ unit, sound, username: api.username });
    this.library = new RoastLibrary({
      api,
      changed: () => this.draw(),
      failed: (error) => this.failed(error),
      keepFile: ports.keepFile,
    });
    this.drawing = new Drawing(clock, ports.visible, () =>
      ports.show(viewOf(this.state, this.followed, this.library, clock.now())),
    );
    this.list = new Repeat(
      clock,
      () => this.pace(),
      () => this.loadMachines(),
    );
    this.draw();
    this.drawing.tick();
    this.list.now();
    void this.library.load();
    if (background !== undefined) void this.library.chooseBackground(background);
  }

  /** The machine that is looked at. */
  get roaster(): FollowedRoaster | undefined {
    return this.followed;
  }

  choose(machineId: string): void {
    this.prefer({ machine: machineId });
    this.follow();
    this.drawing.now();
  }

  showIn(unit: TemperatureUnit): void {
    this.prefer({ unit });
    this.update({ unit });
    this.drawing.now();
  }

  hear(sound: boolean): void {
    this.prefer({ sound });
    this.update({ sound });
    // Browsers let a page be heard only after a press: this is one.
    if (sound) this.ports.sound('info');
    this.drawing.now();
  }

  async chooseBackground(id: string | undefined): Promise<void> {
    this.prefer({ background: id });
    await this.library.chooseBackground(id);
  }

  act(action: SessionAction): void {
    this.followed?.act(action);
  }
  mark(event: EventType): void {
    this.followed?.mark(event);
  }
  /** Only what its button could do: outside of a recording a key is no mark. */
  markByKey(event: EventType): void {
    const { followed } = this;
    if (followed?.phase === 'recording' && followed.lock !== 'other') followed.mark(event);
  }
  setControl(channel: string, value: number): void {
    this.followed?.setControl(channel, value);
  }
  dismiss(alarm: FiredAlarm): void {
    this.followed?.dismiss(alarm);
  }

  async connect(connected: boolean): Promise<void> {
    const { followed } = this;
    if (followed === undefined) return;
    const path = `api/machines/${encodeURIComponent(followed.machine.id)}/${connected ? 'connect' : 'disconnect'}`;
    await this.ask(connected ? 'connect' : 'disconnect', () =>
      this.ports.api.request(path, { method: 'POST' }),
    );
    this.list.now();
  }

  /** @returns why it did not work, empty where it did */
  async saveMachine(draft: MachineDraft, machineId?: string): Promise<string> {
    const { api } = this.ports;
    const body = machineBody(draft);
    let made: MachineWire | undefined;
    const problem = await this.ask('machine', async () => {
      made = (await (machineId === undefined
        ? api.request('api/machines', { method: 'POST', body })
        : api.request(`api/machines/${encodeURIComponent(machineId)}`, {
            method: 'PUT',
            body,
          }))) as MachineWire;
    });
    if (made !== undefined) {
      if (machineId === undefined) this.prefer({ machine: made.id });
      await this.loadMachines();
    }
    return problem;
  }

  async removeMachine(machineId: string): Promise<string> {
    const path = `api/machines/${encodeURIComponent(machineId)}`;
    const problem = await this.ask('machine', () => this.ports.api.request(path, { method: 'DELETE' }));
    await this.loadMachines();
    return problem;
  }

  /** @param drafts each without a problem. @returns why it did not work, empty where it did */
  async saveAlarms(drafts: readonly AlarmDraft[]): Promise<string> {
    const { followed } = this;
    if (followed === undefined) return 'There is no machine.';
    const { id, name, driver, sampling_interval_ms, config } = followed.machine;
    const alarms = alarmsOfDrafts(drafts, this.state.unit);
    const body = { name, driver, sampling_interval_ms, config: { ...config, alarms } };
    const problem = await this.ask('alarms', () =>
      this.ports.api.request(`api/machines/${encodeURIComponent(id)}`, { method: 'PUT', body }),
    );
    await this.loadMachines();
    return problem;
  }

  /** Saves the finished roast. @returns why it did not work, empty where it did */
  async saveRoast(draft: SaveDraft): Promise<string> {
    const { followed } = this;
    if (followed === undefined) return 'There is no machine.';
    const body = saveBody(followed.machine.id, draft);
    let saved: ProfileHeadWire | undefined;
    const problem = await this.ask('save', async () => {
      saved = (await this.ports.api.request('api/profiles', { method: 'POST', body })) as ProfileHeadWire;
    });
    if (saved !== undefined) {
      followed.saved(saved.id);
      await Promise.all([this.library.load(), this.library.open(saved.id)]);
    }
    return problem;
  }

  async login(username: string, password: string): Promise<void> {
    const show = (login: LoginState) => {
      this.update({ login });
      this.draw();
    };
    if (!(await logIn(this.ports.api, { username, password }, show))) return;
    // Somebody else may see other machines: nothing of the one before stays.
    if (this.state.username !== undefined && this.state.username !== username) this.forget();
    this.update({ login: undefined, username });
    this.followed?.resume();
    this.retry();
  }

  logout(): void {
    this.ports.api.logout();
    this.forget();
    this.retry();
  }

  /** After a failure: try everything now. */
  retry(): void {
    this.update({ problem: undefined });
    this.returned();
    void this.library.load();
  }

  /** The page became visible, or the device has its network back. */
  returned(): void {
    this.list.now();
    this.draw();
  }

  close(): void {
    this.closed = true;
    this.list.stop();
    this.drawing.close();
    this.library.close();
    this.unfollow();
  }

  private pace(): number {
    if (!this.state.reachable) return RETRY_EVERY_MS;
    return this.state.machines?.length === 0 ? LIST_EVERY_WHEN_EMPTY_MS : LIST_EVERY_MS;
  }

  private async loadMachines(): Promise<void> {
    if (this.closed || !this.ports.visible() || this.state.login !== undefined) return;
    const { session } = this;
    try {
      const { items } = (await this.ports.api.request('api/machines')) as { items: MachineWire[] };
      if (this.closed || session !== this.session) return;
      const wasReachable = this.state.reachable;
      this.update({
        // In the order in which they were added.
        machines: items.toReversed(),
        reachable: true,
        answeredAt: this.ports.clock.now(),
        problem: undefined,
      });
      if (!wasReachable || this.library.heads === undefined) void this.library.load();
      this.follow();
      this.draw();
    } catch (error) {
      if (session === this.session) this.failed(error);
    }
  }

  /** Follows the chosen machine, or the first one. */
  private follow(): void {
    const { machines } = this.state;
    if (machines === undefined) return;
    const { machine: wanted } = this.preferences();
    const machine = machines.find(({ id }) => id === wanted) ?? machines[0];
    if (machine === undefined) {
      this.unfollow();
      return;
    }
    if (this.followed?.machine.id === machine.id) {
      this.followed.listed(machine);
      return;
    }
    this.unfollow();
    const { api, clock, openFeed, sound } = this.ports;
    this.followed = new FollowedRoaster(machine, {
      api,
      clock,
      openFeed,
      changed: () => this.changed(),
      failed: (error) => this.failed(error),
      alarmed: ({ severity }) => {
        if (this.state.sound) sound(severity);
      },
      dismissed: {
        has: (key) => this.preferences().dismissed?.includes(key) ?? false,
        add: (key) => {
          const dismissed = [...(this.preferences().dismissed ?? []), key].slice(-DISMISSED);
          this.prefer({ dismissed });
        },
      },
    });
  }

  private unfollow(): void {
    this.followed?.close();
    this.followed = undefined;
  }

  private changed(): void {
    const link = this.followed?.link;
    if (link?.kind === 'refused' && link.reason === 'unauthenticated') this.askForLogin();
    this.draw();
  }

  /** Shows that it was pressed. @returns what went wrong, empty where nothing did */
  private async ask(asked: string, task: () => Promise<unknown>): Promise<string> {
    this.update({ asked });
    this.draw();
    let problem = '';
    try {
      await task();
    } catch (error) {
      const { status, code, message } = asApiError(error);
      if (status === 401) this.askForLogin();
      problem = message;
      if ((asked === 'connect' || asked === 'disconnect') && this.followed !== undefined) {
        this.followed.notice = { code, message };
      }
    }
    this.update({ asked: undefined });
    this.draw();
    return problem;
  }

  private failed(error: unknown): void {
    if (this.closed) return;
    if (isUnreachable(error)) this.update({ reachable: false });
    else if (asApiError(error).status === 401) this.askForLogin();
    else this.update({ problem: problemOf(error) });
    this.draw();
  }

  private forget(): void {
    this.session += 1;
    this.unfollow();
    this.library.forget();
    this.update({ username: undefined, machines: undefined });
  }

  private askForLogin(): void {
    if (this.state.login === undefined) this.update({ login: { pending: false, error: undefined } });
    this.draw();
  }

  private preferences(): Preferences {
    try {
      return (JSON.parse(this.ports.preferences.getItem(KEY) ?? '{}') ?? {}) as Preferences;
    } catch {
      return {};
    }
  }

  private prefer(part: { [Name in keyof Preferences]: Preferences[Name] | undefined }): void {
    this.ports.preferences.setItem(KEY, JSON.stringify({ ...this.preferences(), ...part }));
  }

  private update(part: Partial<RoastPageState>): void {
    this.state = { ...this.state, ...part };
  }

  private draw(): void {
    this.drawing.draw();
  }
}
