import type { Clock, Timer } from '../lib/core/clock.js';
import { type Api, asApiError, isUnreachable } from './api.js';
import type { RoastConnectionState, RoastMessage } from './roast-connection.js';
import { type ControlAck, RoastControls } from './roast-controls.js';
import { RoastTrace, type TraceEvent, type TraceReading } from './roast-trace.js';
import type {
  AlarmWire,
  DriverState,
  Lock,
  MachineWire,
  SessionAction,
  SessionPhase,
  SessionWire,
} from './roast-wire.js';

/** What is needed of a RoastConnection. */
export interface RoastFeed {
  send(message: RoastMessage): boolean;
  resume(): void;
  close(): void;
}

export type OpenRoastFeed = (
  machineId: string,
  handlers: { onMessage(message: RoastMessage): void; onState(state: RoastConnectionState): void },
) => RoastFeed;

export interface FollowedRoasterPorts {
  api: Api;
  clock: Clock;
  openFeed: OpenRoastFeed;
  changed(): void;
  failed(error: unknown): void;
  /** An alarm has fired now. */
  alarmed(alarm: AlarmWire): void;
  /** Which alarms this person has dismissed, also before a reload. */
  dismissed: { has(key: string): boolean; add(key: string): void };
}

/** An alarm of this session. */
export interface FiredAlarm extends AlarmWire {
  /** Somebody has seen it. */
  dismissed: boolean;
}

/** A replay that this client has asked for (seed: roast-protocol, `replay`). */
export interface ReplayState {
  profileId: string;
  speed: number;
  by: 'time' | 'bt';
  actuate: boolean;
  playing: boolean;
  ended: boolean;
  positionMs: number;
  totalMs: number;
}

/** What was wrong, for a person to read. */
export interface RoastNotice {
  code: string;
  message: string;
}

const RELOAD_MS = 2_000;
const NOT_SENT: RoastNotice = { code: 'not_connected', message: 'Not connected: nothing was sent.' };

/** One roasting machine that is looked at: its live feed, its session, its controls. */
export class FollowedRoaster {
  readonly controls: RoastControls;
  machine: MachineWire;
  link: RoastConnectionState = { kind: 'connecting' };
  phase: SessionPhase;
  sessionId: string | null = null;
  lock: Lock = 'free';
  driver: { state: DriverState; name: string; message: string };
  trace = new RoastTrace();
  /** What the session's clock showed, and when; ms. */
  clockAt: { sessionMs: number; epochMs: number } | undefined;
  /** When the last reading came, epoch ms. */
  heardAt: number | undefined;
  startedAt: string | null = null;
  alarms: readonly FiredAlarm[] = [];
  notice: RoastNotice | undefined;
  /** Asked for and not yet answered. */
  asked: string | undefined;
  /** The recording so far is on its way. */
  loading = false;
  /** This session is saved as this profile. */
  savedAs: string | undefined;
  replay: ReplayState | undefined;
  readonly #ports: FollowedRoasterPorts;
  readonly #feed: RoastFeed;
  #loadTimer: Timer | undefined;
  #closed = false;

  constructor(machine: MachineWire, ports: FollowedRoasterPorts) {
    this.#ports = ports;
    this.machine = machine;
    this.phase = machine.state;
    this.driver = { state: machine.driver_state, name: machine.driver_name, message: machine.driver_message };
    this.controls = new RoastControls(
      ports.clock,
      (channel, value) => this.#feed.send({ type: 'control', channel, value }),
      () => this.#changed(),
    );
    this.#feed = ports.openFeed(machine.id, {
      onMessage: (message) => this.#take(message),
      onState: (state) => this.#linked(state),
    });
    this.#loadControls();
  }

  /** The list tells of it anew. */
  listed(machine: MachineWire): void {
    this.machine = machine;
  }

  act(action: SessionAction): void {
    this.#send(action, { type: 'command', action });
  }

  mark(eventType: string): void {
    this.#send(`mark ${eventType}`, { type: 'command', action: 'mark_event', event_type: eventType });
  }

  setControl(channel: string, value: number): void {
    this.controls.ask(channel, value);
  }

  dismiss(alarm: FiredAlarm): void {
    this.#ports.dismissed.add(this.#keyOf(alarm));
    this.alarms = this.alarms.map((each) => (each === alarm ? { ...each, dismissed: true } : each));
    this.#changed();
  }

  /** Only what has been replayed so far is known: its end comes with its first point. */
  startReplay(
    profileId: string,
    options: { speed: number; by: 'time' | 'bt'; actuate: boolean; positionMs: number },
  ): void {
    const { speed, by, actuate, positionMs } = options;
    const sent = this.#send('replay', {
      ...{ type: 'replay_control', action: 'start', profile_id: profileId, position_ms: positionMs },
      ...{ speed, by, actuate },
    });
    if (!sent) return;
    const totalMs = this.replay?.profileId === profileId ? this.replay.totalMs : 0;
    this.replay = { profileId, speed, by, actuate, playing: true, ended: false, positionMs, totalMs };
    this.#changed();
  }

  pauseReplay(): void {
    if (!this.#replays('pause')) return;
    this.#replay({ playing: false });
  }

  resumeReplay(): void {
    const { replay } = this;
    if (replay === undefined) return;
    // One that has come to its end is no longer there: it begins anew.
    if (replay.ended) this.startReplay(replay.profileId, { ...replay, positionMs: 0 });
    else if (this.#replays('resume', { speed: replay.speed })) this.#replay({ playing: true });
  }

  seekReplay(positionMs: number): void {
    const { replay } = this;
    if (replay === undefined) return;
    if (replay.ended) this.startReplay(replay.profileId, { ...replay, positionMs });
    else if (this.#replays('seek', { position_ms: Math.round(positionMs) })) this.#replay({ positionMs });
  }

  /** From now on, at another speed. */
  paceReplay(speed: number): void {
    const { replay } = this;
    if (replay === undefined) return;
    this.#replay({ speed });
    // The gateway takes a speed when it goes on.
    if (replay.playing && !replay.ended && this.#replays('pause')) this.#replays('resume', { speed });
  }

  stopReplay(): void {
    if (this.replay !== undefined && !this.replay.ended) this.#replays('stop');
    this.replay = undefined;
    this.#changed();
  }

  /** What the session's clock shows now, ms; undefined where nobody knows. */
  sessionMs(now: number): number | undefined {
    if (this.clockAt === undefined) return undefined;
    const { sessionMs, epochMs } = this.clockAt;
    const runs = this.phase === 'recording' || this.phase === 'monitoring';
    if (!runs || this.link.kind !== 'live') return sessionMs;
    const speed = this.machine.driver === 'simulator' ? (this.machine.config.speed ?? 1) : 1;
    return sessionMs + Math.max(0, now - epochMs) * speed;
  }

  saved(profileId: string): void {
    this.savedAs = profileId;
    this.#changed();
  }

  forgetNotice(): void {
    this.notice = undefined;
    this.#changed();
  }

  resume(): void {
    this.#feed.resume();
  }

  close(): void {
    this.#closed = true;
    this.#loadTimer?.cancel();
    this.controls.close();
    this.#feed.close();
  }

  #send(asked: string, message: RoastMessage): boolean {
    const sent = this.#feed.send(message);
    this.notice = sent ? undefined : NOT_SENT;
    this.asked = sent ? asked : undefined;
    this.#changed();
    return sent;
  }

  #replays(action: string, more: object = {}): boolean {
    return this.#send('replay', { type: 'replay_control', action, ...more });
  }

  #replay(part: Partial<ReplayState>): void {
    if (this.replay !== undefined) this.replay = { ...this.replay, ...part };
    this.asked = undefined;
    this.#changed();
  }

  #linked(state: RoastConnectionState): void {
    const wasLive = this.link.kind === 'live';
    this.link = state;
    if (state.kind !== 'live') {
      this.asked = undefined;
      this.controls.giveUp('The connection was lost: what became of it is not known.');
    } else if (!wasLive) this.#loadControls();
    this.#changed();
  }

  #take(message: RoastMessage): void {
    switch (message.type) {
      case 'state':
        this.#turn(message);
        break;
      case 'temperature':
        this.#read(message as unknown as TraceReading);
        break;
      case 'event':
        if (this.asked === `mark ${message['event_type']}`) this.asked = undefined;
        this.trace.mark(message as unknown as TraceEvent);
        break;
      case 'alarm':
        this.#alarm(message as unknown as AlarmWire);
        break;
      case 'control_ack':
        this.controls.answered(message as unknown as ControlAck);
        break;
      case 'connection':
        this.driver = {
          state: message['driver_state'] as DriverState,
          name: String(message['driver_name']),
          message: String(message['message']),
        };
        break;
      case 'replay':
        this.#replayed(message);
        break;
      case 'gap':
        // What the ring no longer has, the recording has.
        if (message['reason'] === 'buffer') this.#load();
        break;
      case 'error':
        this.#refused(String(message['code']), String(message['message']));
    }
    this.#changed();
  }

  #turn(message: RoastMessage): void {
    const sessionId = message['session_id'] as string | null;
    const phase = message['state'] as SessionPhase;
    this.lock = message['lock'] as Lock;
    if (phase !== this.phase) this.asked = undefined;
    this.phase = phase;
    if (sessionId === this.sessionId) return;
    this.sessionId = sessionId;
    this.trace = new RoastTrace();
    this.clockAt = undefined;
    this.heardAt = undefined;
    this.startedAt = null;
    this.alarms = [];
    this.savedAs = undefined;
    if (phase === 'recording' || phase === 'finished') this.#load();
  }

  #read(reading: TraceReading): void {
    this.trace.append(reading, this.machine.sampling_interval_ms);
    const epochMs = this.#ports.clock.now();
    this.clockAt = { sessionMs: reading.timestamp_ms, epochMs };
    this.heardAt = epochMs;
    if (this.notice?.code.startsWith('DRIVER_')) this.notice = undefined;
  }

  #alarm({ alarm_id, message, severity, timestamp_ms }: AlarmWire): void {
    if (this.alarms.some((each) => each.alarm_id === alarm_id && each.timestamp_ms === timestamp_ms)) return;
    const alarm = this.#alarmOf({ alarm_id, message, severity, timestamp_ms });
    this.alarms = [...this.alarms, alarm];
    if (!alarm.dismissed) this.#ports.alarmed(alarm);
  }

  #keyOf({ alarm_id, timestamp_ms }: AlarmWire): string {
    return `${this.sessionId} ${alarm_id} ${timestamp_ms}`;
  }

  #alarmOf({ alarm_id, message, severity, timestamp_ms }: AlarmWire): FiredAlarm {
    const alarm = { alarm_id, message, severity, timestamp_ms };
    return { ...alarm, dismissed: this.#ports.dismissed.has(this.#keyOf(alarm)) };
  }

  #replayed(message: RoastMessage): void {
    const { replay } = this;
    if (replay === undefined) return;
    const positionMs = Number(message['timestamp_ms']);
    const ended = Number(message['progress_pct']) >= 100;
    const totalMs = Number(message['total_duration_ms']);
    this.asked = undefined;
    this.replay = { ...replay, positionMs, totalMs, ended, playing: replay.playing && !ended };
  }

  #refused(code: string, message: string): void {
    this.asked = undefined;
    this.notice = { code, message };
    if (code !== 'SESSION_LOCKED') return;
    this.lock = 'other';
    this.controls.giveUp('Somebody else controls this machine.');
    if (this.replay?.actuate === true) this.replay = undefined;
  }

  /** The whole recording: after a reload, and where too much was missed for the live feed. */
  #load(): void {
    this.#loadTimer?.cancel();
    this.loading = true;
    const wanted = this.sessionId;
    this.#session().then(
      (session) => {
        if (this.#closed || wanted !== this.sessionId) return;
        this.loading = false;
        // Another session has begun meanwhile: its own state is on its way.
        if (session.session_id !== wanted) return;
        this.trace.load(session.temperatures, session.events, this.machine.sampling_interval_ms);
        this.clockAt = { sessionMs: session.timestamp_ms, epochMs: this.#ports.clock.now() };
        this.startedAt = session.started_at;
        this.controls.load(session.control_values);
        const known = session.alarms.map((alarm) => this.#alarmOf(alarm));
        const isNew = (alarm: FiredAlarm) =>
          !known.some(
            ({ alarm_id, timestamp_ms }) =>
              alarm_id === alarm.alarm_id && timestamp_ms === alarm.timestamp_ms,
          );
        this.alarms = [...known, ...this.alarms.filter(isNew)];
        this.#changed();
      },
      (error: unknown) => {
        if (this.#closed || wanted !== this.sessionId) return;
        this.#ports.failed(error);
        if (!isUnreachable(error) && asApiError(error).status === 404) return;
        this.#loadTimer = this.#ports.clock.setTimer(() => this.#load(), RELOAD_MS);
      },
    );
  }

  /** Where the controls are, also while nothing is recorded. */
  #loadControls(): void {
    this.#session().then(
      ({ control_values }) => {
        if (!this.#closed) this.controls.load(control_values);
      },
      () => {}, // the feed tells that the gateway is away
    );
  }

  async #session(): Promise<SessionWire> {
    const { api } = this.#ports;
    return (await api.request(`api/machines/${encodeURIComponent(this.machine.id)}/session`)) as SessionWire;
  }

  #changed(): void {
    if (!this.#closed) this.#ports.changed();
  }
}
