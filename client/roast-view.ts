import { EVENT_TYPES, type EventType } from '../lib/roast/event.js';
import type { Problem } from './api.js';
import { type ConnectionView, connectionView } from './connection-view.js';
import type { FollowedRoaster, ReplayState, RoastNotice } from './followed-roaster.js';
import type { FeedState } from './live-feed.js';
import type { LoginState } from './login.js';
import { type AlarmRuleView, type AlarmView, alarmRule, alarmView } from './roast-alarm-view.js';
import { type ControlView, controlViews } from './roast-control-view.js';
import type { RoastLibrary } from './roast-library.js';
import { EVENT_NAMES, EVENT_WORDS, eventKey, MARKED_EVENTS } from './roast-marks.js';
import { developmentRatio } from './roast-phases.js';
import { type LibraryView, libraryView } from './roast-profile-view.js';
import type { RoastTrace } from './roast-trace.js';
import { rateWords, roastTime, shareWords, type TemperatureUnit, temperatureWords } from './roast-units.js';
import type { MachineWire, SessionAction, SessionPhase } from './roast-wire.js';

/** Everything that the page knows beside the machine that is looked at and the saved roasts. */
export interface RoastPageState {
  login: LoginState | undefined;
  username: string | undefined;
  machines: readonly MachineWire[] | undefined;
  unit: TemperatureUnit;
  sound: boolean;
  reachable: boolean;
  answeredAt: number | undefined;
  problem: Problem | undefined;
  /** What was pressed and has not been answered by REST. */
  asked: string | undefined;
}

/** A large figure. */
export interface FigureView {
  key: 'bt' | 'et' | 'ror' | 'time' | 'development';
  label: string;
  value: string;
  unit: string;
  /** What a screen reader says instead. */
  spoken: string;
}

export interface EventButton {
  type: EventType;
  label: string;
  name: string;
  /** Empty for what marks itself alone. */
  key: string;
  /** Since CHARGE; empty where it has not happened. */
  time: string;
  /** `by itself`, `by hand`; empty where it has not happened. */
  how: string;
  pending: boolean;
  disabled: boolean;
}

/** What is to be pressed next. */
export interface StepView {
  action: SessionAction | 'connect' | 'disconnect' | 'save';
  label: string;
  icon: string;
  /** It is not what most wait for: the roast goes on. */
  calm: boolean;
  pending: boolean;
}

export interface RoasterView {
  id: string;
  name: string;
  machine: MachineWire;
  phase: SessionPhase;
  phaseWord: string;
  driver: { look: 'on' | 'wait' | 'off'; icon: string; word: string; text: string };
  lock: { look: 'free' | 'yours' | 'other'; icon: string; word: string; text: string };
  primary: StepView | undefined;
  others: readonly StepView[];
  figures: readonly FigureView[];
  events: readonly EventButton[];
  controls: readonly ControlView[];
  /** Those that nobody has dismissed, newest first. */
  alarms: readonly AlarmView[];
  /** All of this session, newest first. */
  alarmLog: readonly AlarmView[];
  /** What alarms wait for. */
  alarmRules: readonly AlarmRuleView[];
  notice: RoastNotice | undefined;
  loading: boolean;
  chart: {
    trace: RoastTrace;
    recording: boolean;
    ended: boolean;
    empty: string;
    background: { trace: RoastTrace | undefined; name: string; replayMs: number | undefined } | undefined;
  };
  /** Nobody has saved this roast. */
  unsaved: boolean;
  savedAs: string | undefined;
  replay: ReplayState | undefined;
  controllable: boolean;
}

export interface RoastView {
  phase: 'loading' | 'login' | 'error' | 'empty' | 'ready';
  login: LoginState | undefined;
  username: string | undefined;
  connection: ConnectionView;
  problem: Problem | undefined;
  unit: TemperatureUnit;
  sound: boolean;
  asked: string | undefined;
  machines: readonly { id: string; name: string; chosen: boolean; word: string }[];
  roaster: RoasterView | undefined;
  library: LibraryView;
  /** What a screen reader hears as it changes: what happens, not the figures. */
  spoken: string;
}

export const PHASE_WORDS: Readonly<Record<SessionPhase, string>> = {
  idle: 'Idle',
  monitoring: 'Monitoring',
  recording: 'Recording',
  finished: 'Finished',
};

export function viewOf(
  state: RoastPageState,
  followed: FollowedRoaster | undefined,
  library: RoastLibrary,
  now: number,
): RoastView {
  const { machines, login, unit } = state;
  const saved = libraryView(library, unit);
  const roaster = followed === undefined ? undefined : roasterView(followed, state, saved.background, now);
  return {
    phase: phaseOf(state),
    login,
    username: state.username,
    connection: connectionOf(state, followed, now),
    problem: state.problem,
    unit,
    sound: state.sound,
    asked: state.asked,
    machines: (machines ?? []).map((machine) => ({
      id: machine.id,
      name: machine.name,
      chosen: machine.id === followed?.machine.id,
      word: PHASE_WORDS[machine.id === followed?.machine.id ? followed.phase : machine.state],
    })),
    roaster,
    library: saved,
    spoken: roaster === undefined ? '' : spokenOf(roaster),
  };
}

function phaseOf({ login, machines, problem }: RoastPageState): RoastView['phase'] {
  if (login !== undefined) return 'login';
  if (machines === undefined) return problem === undefined ? 'loading' : 'error';
  return machines.length === 0 ? 'empty' : 'ready';
}

/** Past this a curve that stands still is no longer merely old, ms. */
const STALE_FOR_MS = 30_000;

function connectionOf(
  { reachable, answeredAt }: RoastPageState,
  followed: FollowedRoaster | undefined,
  now: number,
): ConnectionView {
  const feeds: FeedState[] = [];
  if (followed !== undefined) {
    const { link, heardAt } = followed;
    const asOf = heardAt ?? answeredAt;
    if (link.kind === 'lost') {
      const { retryAt } = link;
      const stale = asOf !== undefined && now - asOf < STALE_FOR_MS;
      feeds.push(stale ? { kind: 'stale', asOf, retryAt } : { kind: 'disconnected', asOf, retryAt });
    } else feeds.push(link.kind === 'live' ? { kind: 'live', asOf: now } : link);
  }
  return connectionView(feeds, reachable, answeredAt, now);
}

function roasterView(
  followed: FollowedRoaster,
  state: RoastPageState,
  background: LibraryView['background'],
  now: number,
): RoasterView {
  const { machine, phase, trace, alarms, lock, link, controls } = followed;
  const { unit } = state;
  const steps = stepsOf(followed, state);
  const controllable = lock !== 'other' && link.kind === 'live';
  const views = alarms.map((alarm) => alarmView(alarm, trace)).toReversed();
  return {
    id: machine.id,
    name: machine.name,
    machine,
    phase,
    phaseWord: PHASE_WORDS[phase],
    driver: driverView(followed),
    lock: LOCK_VIEWS[lock],
    primary: steps[0],
    others: steps.slice(1),
    figures: figuresOf(followed, unit, now),
    events: eventButtons(followed, controllable),
    controls: controlViews(machine.channels, controls),
    alarms: views.filter(({ alarm }) => !alarm.dismissed),
    alarmLog: views,
    alarmRules: (machine.config.alarms ?? []).map((alarm) => alarmRule(alarm, unit)),
    notice: followed.notice,
    loading: followed.loading,
    chart: {
      trace,
      recording: phase === 'recording' || phase === 'finished',
      ended: phase === 'finished',
      empty: emptyWords(followed),
      background: background && { ...background, replayMs: followed.replay?.positionMs },
    },
    unsaved: phase === 'finished' && followed.savedAs === undefined,
    savedAs: followed.savedAs,
    replay: followed.replay,
    controllable,
  };
}

const LOCK_VIEWS: Readonly<Record<FollowedRoaster['lock'], RoasterView['lock']>> = {
  free: {
    look: 'free',
    icon: 'mdi-lock-open-variant-outline',
    word: 'Nobody controls',
    text: 'The first who presses something controls this machine.',
  },
  yours: {
    look: 'yours',
    icon: 'mdi-account-check-outline',
    word: 'You control',
    text: 'Others only look until you are gone for 10 s.',
  },
  other: {
    look: 'other',
    icon: 'mdi-eye-outline',
    word: 'You look on',
    text: 'Somebody else controls this machine. You can as soon as they are gone for 10 s.',
  },
};

function driverView({ driver }: FollowedRoaster): RoasterView['driver'] {
  const text = driver.message;
  switch (driver.state) {
    case 'connected':
      return { look: 'on', icon: 'mdi-check-network-outline', word: `${driver.name} connected`, text };
    case 'disconnected':
      return { look: 'off', icon: 'mdi-close-network-outline', word: `${driver.name} not connected`, text };
    case 'connecting':
      return { look: 'wait', icon: 'mdi-dots-horizontal', word: `${driver.name} connecting`, text };
    case 'reconnecting':
      return { look: 'wait', icon: 'mdi-refresh', word: `${driver.name} connecting again`, text };
  }
}

const STEPS: Readonly<Record<StepView['action'], Pick<StepView, 'label' | 'icon'>>> = {
  connect: { label: 'Connect', icon: 'mdi-power-plug-outline' },
  disconnect: { label: 'Disconnect', icon: 'mdi-power-plug-off-outline' },
  start_monitoring: { label: 'Start monitoring', icon: 'mdi-thermometer' },
  start_recording: { label: 'Start recording', icon: 'mdi-record-circle-outline' },
  stop_recording: { label: 'Stop recording', icon: 'mdi-stop-circle-outline' },
  save: { label: 'Save this roast', icon: 'mdi-content-save-outline' },
  reset: { label: 'New roast', icon: 'mdi-restart' },
};

/** The first one is what is to be done next. */
function stepsOf(
  { phase, driver, asked, savedAs, trace }: FollowedRoaster,
  state: RoastPageState,
): StepView[] {
  const off = driver.state === 'disconnected';
  const actions: StepView['action'][] = [];
  switch (phase) {
    case 'idle':
      actions.push(...(off ? (['connect'] as const) : (['start_monitoring', 'disconnect'] as const)));
      break;
    case 'monitoring':
      actions.push(...(off ? (['connect'] as const) : (['start_recording'] as const)), 'reset');
      break;
    case 'recording':
      actions.push(...(off ? (['connect'] as const) : []), 'stop_recording');
      break;
    case 'finished':
      actions.push(...(savedAs === undefined ? (['save', 'reset'] as const) : (['reset'] as const)));
  }
  return actions.map((action) => ({
    ...STEPS[action],
    ...(action === 'reset' && phase === 'monitoring' && { label: 'Stop monitoring', icon: 'mdi-stop' }),
    action,
    calm: action === 'stop_recording' && !trace.events.has('DROP'),
    pending: asked === action || state.asked === action,
  }));
}

function figuresOf(followed: FollowedRoaster, unit: TemperatureUnit, now: number): FigureView[] {
  const { trace, phase } = followed;
  const point = phase === 'idle' ? undefined : trace.last;
  const sign = `°${unit}`;
  const { chargeMs } = trace;
  const nowMs = Math.max(followed.sessionMs(now) ?? 0, trace.lastMs);
  const dropMs = trace.events.get('DROP')?.timeMs;
  const known = Number.isFinite(nowMs) && phase !== 'idle';
  const since = chargeMs === null || !known ? null : (dropMs ?? nowMs) - chargeMs;
  const ratio = developmentRatio(trace.events, nowMs);
  const time = { key: 'time', unit: '' } as const;
  const waiting = phase === 'recording' && chargeMs === null && known;
  const figure = (
    key: FigureView['key'],
    label: string,
    name: string,
    value: string,
    of: string,
  ): FigureView => ({
    key,
    label,
    value,
    unit: of,
    spoken: value === '–' ? `${name} not known` : `${name} ${value} ${of}`,
  });
  return [
    figure('bt', 'BT', 'Bean temperature', temperatureWords(point?.bt, unit), sign),
    figure('et', 'ET', 'Air temperature', temperatureWords(point?.et, unit), sign),
    figure('ror', 'RoR', 'Rate of rise', rateWords(point?.btRor, unit), `${sign}/min`),
    waiting
      ? { ...time, label: 'Waiting for CHARGE', value: roastTime(nowMs), spoken: `Waiting for charge` }
      : {
          ...time,
          label: dropMs === undefined ? 'Since CHARGE' : 'CHARGE to DROP',
          value: roastTime(since),
          spoken: `Time since charge ${roastTime(since)}`,
        },
    figure('development', 'Development', 'Development ratio', shareWords(ratio), ''),
  ];
}

function eventButtons({ trace, phase, asked }: FollowedRoaster, controllable: boolean): EventButton[] {
  const { events, chargeMs } = trace;
  const types = EVENT_TYPES.filter((type) => MARKED_EVENTS.includes(type) || type === 'TP');
  return types.map((type) => {
    const event = events.get(type);
    const marks = MARKED_EVENTS.includes(type);
    return {
      type,
      label: EVENT_WORDS[type],
      name: EVENT_NAMES[type],
      key: marks ? eventKey(type) : '',
      time: event === undefined ? '' : roastTime(event.timeMs - (chargeMs ?? 0)),
      how: event === undefined ? '' : event.source === 'marked' ? 'by hand' : 'by itself',
      pending: asked === `mark ${type}`,
      disabled: !marks || phase !== 'recording' || !controllable,
    };
  });
}

function emptyWords({ phase, driver, loading }: FollowedRoaster): string {
  if (loading) return 'Loading the roast so far …';
  if (driver.state === 'disconnected') return 'Connect the roaster: then its temperatures are drawn here.';
  if (phase === 'idle') return 'Start monitoring: then its temperatures are drawn here.';
  return 'Waiting for the first reading …';
}

function spokenOf({ phaseWord, events, driver }: RoasterView): string {
  const last = events.filter(({ time }) => time !== '').at(-1);
  return [
    phaseWord,
    driver.look === 'on' ? '' : driver.word,
    last === undefined ? '' : `${last.name}, ${last.time}`,
  ]
    .filter((part) => part !== '')
    .join('. ');
}
