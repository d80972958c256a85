import type { Problem } from './api.js';
import { type ConnectionView, connectionView } from './connection-view.js';
import { type ActionView, actionsOf, PRESSED, type RolloutAction } from './firmware-actions.js';
import type { DraftProblems } from './firmware-draft.js';
import type { FleetStore } from './firmware-fleet.js';
import type { Images } from './firmware-image-store.js';
import { type ImageView, imageViews, type UploadView, uploadView } from './firmware-images.js';
import {
  type CountView,
  countViews,
  type SegmentView,
  type StageView,
  segmentsOf,
  stageViews,
  waitsWords,
} from './firmware-stages.js';
import type { TargetFilter, TargetRows } from './firmware-targets.js';
import { type LineView, lineViews, type TimelineView, timelineView } from './firmware-timeline.js';
import type { RolloutWire } from './firmware-wire.js';
import { DEPLOYMENT_WORDS, ROLLOUT_WORDS, type RolloutLook, rolloutEventWords } from './firmware-words.js';
import type { ShownRollout } from './followed-rollout.js';
import type { LoginState } from './login.js';
import { agoWords, clockTime, counted, durationWords, exactTime } from './words.js';

/** A press on one rollout, or one controller of it, and what became of it. */
export interface Press {
  /** Of the rollout or the deployment. */
  id: string;
  action: keyof typeof PRESSED;
  outcome: { kind: 'pending' } | { kind: 'done'; at: number } | { kind: 'failed'; message: string };
}

export interface FirmwareLogin extends LoginState {
  /** change: what was pressed is done once somebody is logged in. */
  purpose: 'read' | 'change';
}

export type Creating = { kind: 'pending' } | { kind: 'failed'; message: string; problems: DraftProblems };

/** All that the page knows; `viewOf` turns it into what a person reads. */
export interface FirmwarePageState {
  username: string | undefined;
  /** Newest first; undefined until the gateway has told them. */
  rollouts: readonly RolloutWire[] | undefined;
  moreRollouts: boolean;
  images: Images;
  /** Controllers that can be chosen; undefined until the gateway has told them. */
  fleet: readonly FleetStore[] | undefined;
  place: 'list' | 'rollout' | 'new';
  opened: ShownRollout | undefined;
  presses: readonly Press[];
  creating: Creating | undefined;
  reachable: boolean;
  answeredAt: number | undefined;
  problem: Problem | undefined;
  login: FirmwareLogin | undefined;
}

export interface RolloutCardView {
  rolloutId: string;
  title: string;
  version: string;
  state: RolloutWire['state'];
  look: RolloutLook;
  icon: string;
  word: string;
  waits: string;
  age: string;
  exact: string;
  segments: readonly SegmentView[];
  /** `9 of 12`. */
  progress: string;
  spoken: string;
  attention: boolean;
}

export interface PressView {
  look: 'open' | 'completed' | 'failed';
  icon: string;
  text: string;
}

export interface OpenedRolloutView extends RolloutCardView {
  facts: readonly string[];
  stages: readonly StageView[];
  counts: readonly CountView[];
  actions: readonly ActionView<RolloutAction>[];
  /** An action is on its way: another one has to wait. */
  busy: boolean;
  press: PressView | undefined;
  history: readonly LineView[];
  feed: ShownRollout['feed']['kind'];
  targets: {
    rows: TargetRows;
    filter: TargetFilter;
    state: 'loading' | 'more' | 'whole';
    /** Of the filter, as the counts say; retried ones come on top. */
    total: number;
    states: readonly { state: CountView['state']; word: string; count: number }[];
    words: string;
  };
  timeline: (TimelineView & { press: PressView | undefined; busy: boolean; loading: boolean }) | undefined;
}

export interface FirmwareView {
  phase: 'loading' | 'login' | 'error' | 'ready';
  place: FirmwarePageState['place'];
  username: string;
  problem: Problem | undefined;
  login: FirmwareLogin | undefined;
  connection: ConnectionView;
  attention: readonly RolloutCardView[];
  rollouts: readonly RolloutCardView[];
  moreRollouts: boolean;
  opened: OpenedRolloutView | undefined;
  images: readonly ImageView[];
  /** Newest first, of all images. */
  versions: readonly string[];
  imagesLoaded: boolean;
  upload: UploadView | undefined;
  fleet: readonly FleetStore[] | undefined;
  /** What is missing before a rollout can be made; undefined while that is not known, or there is one. */
  missing: { images: boolean; controllers: boolean } | undefined;
  creating: { pending: boolean; message: string; problems: DraftProblems };
  /** What a screen reader is to say of the opened rollout, as it changes. */
  spoken: string;
}

/** @param now epoch milliseconds UTC, to which ages are counted */
export function viewOf(state: FirmwarePageState, now: number): FirmwareView {
  const { opened, rollouts = [], creating } = state;
  const { list = [], removals, upload } = state.images;
  const feeds = opened === undefined ? [] : [opened.feed];
  const cards = rollouts.map((rollout) => cardView(rollout, now));
  const shown = state.place === 'rollout' ? opened : undefined;
  const rollout = shown?.rollout;
  return {
    phase: phaseOf(state),
    place: state.place,
    username: state.username ?? '',
    problem: state.problem,
    login: state.login,
    connection: connectionView(feeds, state.reachable, state.answeredAt, now),
    attention: cards.filter(({ attention }) => attention),
    rollouts: cards,
    moreRollouts: state.moreRollouts,
    opened: shown && rollout && openedView(shown, rollout, state.presses, now),
    images: imageViews(list, removals, now),
    versions: list.map(({ version }) => version),
    imagesLoaded: state.images.list !== undefined,
    upload: upload && uploadView(upload),
    fleet: state.fleet,
    missing: missingOf(state),
    creating: {
      pending: creating?.kind === 'pending',
      message: creating?.kind === 'failed' ? creating.message : '',
      problems: creating?.kind === 'failed' ? creating.problems : {},
    },
    spoken: rollout === undefined ? '' : `${rolloutTitle(rollout)}. ${spokenWaits(rollout, now)}`,
  };
}

function phaseOf({ login, rollouts, problem }: FirmwarePageState): FirmwareView['phase'] {
  if (login?.purpose === 'read') return 'login';
  if (rollouts === undefined) return problem === undefined ? 'loading' : 'error';
  return 'ready';
}

function missingOf({ rollouts, images, fleet }: FirmwarePageState): FirmwareView['missing'] {
  if (rollouts?.length !== 0 || images.list === undefined || fleet === undefined) return undefined;
  return {
    images: images.list.length === 0,
    controllers: fleet.every(({ controllers }) => controllers.length === 0),
  };
}

export const rolloutTitle = ({ name, firmware_version: version }: RolloutWire) =>
  name ?? `Rollout of ${version}`;

/** Not the seconds that are left. */
function spokenWaits(rollout: RolloutWire, now: number): string {
  return waitsWords(rollout, now).replace(/, [^,]* more\.$/, '.');
}

/** True where a rollout goes on only once somebody has looked after it. */
export function callsForSomebody({ state, reason, stuck }: RolloutWire): boolean {
  return state === 'WAITING_APPROVAL' || (state === 'PAUSED' && reason !== 'paused by a person') || stuck > 0;
}

function cardView(rollout: RolloutWire, now: number): RolloutCardView {
  const { counts, targets, state } = rollout;
  const at = Date.parse(rollout.created_at);
  const words = ROLLOUT_WORDS[state];
  const stuck =
    rollout.stuck === 0 ? '' : ` ${counted(rollout.stuck, 'controller')} did not answer to the cancellation.`;
  return {
    rolloutId: rollout.id,
    title: rolloutTitle(rollout),
    version: rollout.firmware_version,
    state,
    ...words,
    waits: `${waitsWords(rollout, now)}${stuck}`,
    age: agoWords(at, now),
    exact: exactTime(at),
    segments: segmentsOf(counts, targets),
    progress: `${counts.COMPLETED ?? 0} of ${targets}`,
    spoken: countViews(counts)
      .map(({ word, count }) => `${count} ${word.toLowerCase()}`)
      .join(', '),
    attention: callsForSomebody(rollout),
  };
}

/** What became of a press is no longer news then. */
const PRESS_SHOWN_MS = 60_000;

function pressView(press: Press | undefined, now: number): PressView | undefined {
  if (press === undefined) return undefined;
  if (press.outcome.kind === 'done' && now - press.outcome.at > PRESS_SHOWN_MS) return undefined;
  const [doing, done] = PRESSED[press.action];
  switch (press.outcome.kind) {
    case 'pending':
      return { look: 'open', icon: 'mdi-dots-horizontal', text: doing };
    case 'done':
      return { look: 'completed', icon: 'mdi-check', text: `${done} at ${clockTime(press.outcome.at, now)}` };
    case 'failed':
      return { look: 'failed', icon: 'mdi-alert-circle-outline', text: press.outcome.message };
  }
}

function openedView(
  shown: ShownRollout,
  rollout: RolloutWire,
  presses: readonly Press[],
  now: number,
): OpenedRolloutView {
  const pressOf = (id: string) => presses.find((press) => press.id === id);
  const press = pressOf(rollout.id);
  const { opened, openedId, targets } = shown;
  const openedPress = openedId === undefined ? undefined : pressOf(openedId);
  return {
    ...cardView(rollout, now),
    facts: factsOf(rollout, now),
    stages: stageViews(rollout, now),
    counts: countViews(rollout.counts),
    actions: actionsOf(rollout),
    busy: press?.outcome.kind === 'pending',
    press: pressView(press, now),
    history: lineViews(shown.history, rolloutEventWords, now),
    feed: shown.feed.kind,
    targets: targetsView(rollout, targets),
    timeline: opened && {
      ...timelineView(opened, now),
      press: pressView(openedPress, now),
      busy: openedPress?.outcome.kind === 'pending',
      loading: opened.history === undefined,
    },
  };
}

function targetsView(rollout: RolloutWire, { rows, filter, state }: ShownRollout['targets']) {
  const { counts, targets } =
    filter.stage === undefined ? rollout : (rollout.stages[filter.stage] ?? rollout);
  const total = filter.state === undefined ? targets : (counts[filter.state] ?? 0);
  const states = countViews(counts).map(({ state: name, word, count }) => ({ state: name, word, count }));
  const chosen = filter.state;
  if (chosen !== undefined && !states.some((each) => each.state === chosen)) {
    states.push({ state: chosen, word: DEPLOYMENT_WORDS[chosen].word, count: 0 });
  }
  const all = Math.max(total, rows.length);
  const words = state === 'more' ? `${rows.length} of ${all} at hand` : rowWords(rows.length, total);
  return { rows, filter, state, total: all, states, words };
}

/** A controller that was tried again has a row for each attempt. */
function rowWords(rows: number, targets: number): string {
  return rows > targets && targets > 0
    ? `${counted(targets, 'controller')}, ${counted(rows, 'attempt')}`
    : counted(rows, 'controller');
}

function factsOf(rollout: RolloutWire, now: number): string[] {
  const { verify_s: verify, rate_per_minute: rate, force, created_by: by, ended_at: ended } = rollout;
  const made = clockTime(Date.parse(rollout.created_at), now);
  return [
    `made ${made}${by === null ? '' : ` by ${by}`}`,
    ...(ended === null ? [] : [`ended ${clockTime(Date.parse(ended), now)}`]),
    `deadline ${durationWords(rollout.deadline_s * 1000)}`,
    verify === 0 ? 'versions are not verified' : `version verified within ${durationWords(verify * 1000)}`,
    ...(rate === null ? [] : [`${rate} starts a minute`]),
    ...(rollout.supersede ? ['takes busy controllers over'] : []),
    ...(force === null ? [] : [`lower versions too: ${force.reason}`]),
  ];
}
