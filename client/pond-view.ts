import type { Problem } from './api.js';
import type { Asked } from './asked.js';
import { type ConnectionView, connectionView } from './connection-view.js';
import type { ShownPond } from './followed-pond.js';
import type { FeedState } from './live-feed.js';
import type { LoginState } from './login.js';
import { type AlertView, alertsInOrder, alertView, unnoticed } from './pond-alerts.js';
import { attentionOf, cautionsOf, type PondAttentionView } from './pond-attention.js';
import {
  type CardCommandView,
  cardCommand,
  type DeviceView,
  deviceView,
  type ReadingView,
  readingViews,
} from './pond-card.js';
import { type ProgressView, progressView } from './pond-command.js';
import type { Curve, CurveSpan, Curves } from './pond-curve.js';
import { type Order, presetsOf } from './pond-order.js';
import { parameterOf } from './pond-parameters.js';
import { hasEnded, type Pond } from './pond-state.js';
import { counted } from './words.js';

/** All that the page knows; `viewOf` turns it into what a person reads. */
export interface PondsPageState {
  username: string | undefined;
  /** Undefined until the gateway has told them. */
  ponds: readonly ShownPond[] | undefined;
  /** One pond, or all. */
  opened: number | undefined;
  /** The pond that was pressed last. */
  pressed: number | undefined;
  span: CurveSpan;
  /** The newest of each pond that is not yet in its history, or did not come so far. */
  orders: ReadonlyMap<number, Order>;
  /** By execution. */
  cancels: ReadonlyMap<number, Asked>;
  /** By alert. */
  acknowledgements: ReadonlyMap<string, Asked>;
  reachable: boolean;
  answeredAt: number | undefined;
  problem: Problem | undefined;
  login: LoginState | undefined;
}

export interface PondCardView {
  pondId: number;
  anchor: string;
  name: string;
  device: DeviceView;
  /** The weightiest ones. */
  readings: readonly ReadingView[];
  alerts: number;
  alertWord: string;
  command: CardCommandView | undefined;
  /** It is known that nothing was ever sent to it. */
  untouched: boolean;
  presets: readonly number[];
  limitG: number;
  /** An order is not answered yet: another one has to wait. */
  busy: boolean;
  /** What to know before one presses: already fed, offline … */
  cautions: readonly string[];
  state: 'ready' | 'not_found' | 'forbidden';
  /** Changes exactly when the card has to be drawn again. */
  memo: string;
}

export interface CommandView extends ProgressView {
  cancel: { pending: boolean; error: string };
}

export interface OrderView {
  title: string;
  look: 'open' | 'failed';
  text: string;
  mayRepeat: boolean;
}

export interface MeasurementView extends ReadingView {
  curve: Curve;
}

export interface OpenedPondView extends PondCardView {
  deviceId: string;
  position: number;
  firmware: string;
  span: CurveSpan;
  curves: 'loading' | 'loaded';
  measurements: readonly MeasurementView[];
  alertList: readonly AlertView[];
  /** What was pressed and is not yet in the history. */
  order: OrderView | undefined;
  /** On their way, or else the last one. */
  current: readonly CommandView[];
  history: readonly ProgressView[];
  mayLoadMore: boolean;
  loadingMore: boolean;
}

export interface PondsView {
  phase: 'loading' | 'login' | 'error' | 'empty' | 'ready';
  username: string;
  problem: Problem | undefined;
  login: LoginState | undefined;
  connection: ConnectionView;
  /** `attention`: how much of that pond calls for it. */
  choices: readonly { pondId: number | undefined; label: string; chosen: boolean; attention: number }[];
  attention: readonly PondAttentionView[];
  cards: readonly PondCardView[];
  opened: OpenedPondView | undefined;
  /** What a screen reader is to say of the commands, as it changes. */
  spoken: string;
}

const READINGS_ON_CARD = 3;
/** With more cards than this, they leave out what is another each second. */
const CARDS_WITH_AGES = 24;
/** @param now epoch milliseconds UTC, to which ages are counted */
export function viewOf(state: PondsPageState, curves: Curves, now: number): PondsView {
  const ponds = state.ponds ?? [];
  const feeds = ponds.map(({ feed }) => feed).filter((feed) => feed !== undefined);
  const connection = connectionView(feeds, state.reachable, state.answeredAt, now);
  const opened = ponds.find(({ pond }) => pond.pondId === openedId(state));
  return {
    phase: phaseOf(state),
    username: state.username ?? '',
    problem: state.problem,
    login: state.login,
    connection,
    choices: choicesOf(state, now),
    attention: heavyFirst(ponds.flatMap(({ pond }) => attentionOf(pond, now))),
    cards: opened === undefined ? ponds.map((shown) => cardView(shown, state, now)) : [],
    opened: opened && openedView(opened, state, curves, now, connection.trueAt),
    spoken: spokenOf(opened ?? ponds.find(({ pond }) => pond.pondId === state.pressed), state, now),
  };
}

const heavyFirst = (items: readonly PondAttentionView[]) =>
  [...items].sort((a, b) => Number(a.look === 'warning') - Number(b.look === 'warning'));

/** One pond alone is open: there is nothing to choose. */
export function openedId({ ponds = [], opened }: Pick<PondsPageState, 'ponds' | 'opened'>) {
  return ponds.length === 1 ? ponds[0]?.pond.pondId : opened;
}

function phaseOf({ login, ponds, problem }: PondsPageState): PondsView['phase'] {
  if (login !== undefined) return 'login';
  if (ponds === undefined) return problem === undefined ? 'loading' : 'error';
  return ponds.length === 0 ? 'empty' : 'ready';
}

function choicesOf(state: PondsPageState, now: number): PondsView['choices'] {
  const { ponds = [], opened } = state;
  if (ponds.length < 2) return [];
  return [
    { pondId: undefined, label: 'All ponds', chosen: opened === undefined, attention: 0 },
    ...ponds.map(({ pond }) => ({
      pondId: pond.pondId,
      label: pond.name,
      chosen: opened === pond.pondId,
      attention: attentionOf(pond, now).length,
    })),
  ];
}

function cardView({ pond, feed }: ShownPond, state: PondsPageState, now: number): PondCardView {
  const order = state.orders.get(pond.pondId);
  const alerts = unnoticed(pond).length;
  const brief = (state.ponds?.length ?? 0) > CARDS_WITH_AGES;
  const card = {
    pondId: pond.pondId,
    anchor: `pond-${pond.pondId}`,
    name: pond.name,
    device: deviceView(pond.device, now, brief),
    readings: readingViews(pond, now).slice(0, READINGS_ON_CARD),
    alerts,
    alertWord: counted(alerts, 'alert'),
    command: cardCommand(pond.executions, order, now),
    untouched: pond.executions.length === 0 && feed?.kind === 'live',
    presets: presetsOf(pond.feedLimitG),
    limitG: pond.feedLimitG,
    busy: order?.state.kind === 'asking' || order?.state.kind === 'retrying',
    cautions: cautionsOf(pond, now),
    state: stateOf(feed),
  };
  return { ...card, memo: memoOf(card) };
}

function memoOf(card: Omit<PondCardView, 'memo'>): string {
  const { name, device, alerts, command, untouched, presets, busy, state } = card;
  const old = device.look === 'offline';
  const readings = card.readings.map((one) => [
    one.parameter,
    one.value,
    one.judgement,
    one.gauge,
    old && one.age,
  ]);
  return JSON.stringify([name, device, alerts, command, untouched, presets, busy, state, readings]);
}

function stateOf(feed: FeedState | undefined): PondCardView['state'] {
  return feed?.kind === 'refused' && feed.reason !== 'unauthenticated' ? feed.reason : 'ready';
}

function openedView(
  shown: ShownPond,
  state: PondsPageState,
  curves: Curves,
  now: number,
  trueAt: number,
): OpenedPondView {
  const { pond, past } = shown;
  const order = state.orders.get(pond.pondId);
  const current = currentExecutions(pond).map((execution) => ({
    ...progressView(execution, now),
    cancel: cancelView(state.cancels.get(execution.executionId)),
  }));
  return {
    ...cardView(shown, state, now),
    deviceId: pond.deviceId,
    position: pond.position,
    firmware: pond.device?.firmwareVersion ?? '',
    span: state.span,
    curves: past.curves === 'loaded' ? 'loaded' : 'loading',
    measurements: measurementViews(pond, state.span, curves, now, trueAt),
    alertList: alertsInOrder(pond.alerts).map((alert) =>
      alertView(alert, state.acknowledgements.get(alert.alertId), now),
    ),
    order: order && orderView(order),
    current,
    history: pond.executions.map((execution) => progressView(execution, now)),
    mayLoadMore: past.history !== 'whole',
    loadingMore: past.history === 'loading',
  };
}

function spokenOf(shown: ShownPond | undefined, { orders }: PondsPageState, now: number): string {
  if (shown === undefined) return '';
  const { pond } = shown;
  const order = orders.get(pond.pondId);
  const said = order && orderView(order);
  const current = currentExecutions(pond).map((execution) => progressView(execution, now).spoken);
  return [`${pond.name}.`, ...(said === undefined ? [] : [`${said.title}: ${said.text}`]), ...current].join(
    ' ',
  );
}

/** Those on their way, or else the last one. */
function currentExecutions({ executions }: Pond) {
  const open = executions.filter((execution) => !hasEnded(execution));
  return open.length > 0 ? open : executions.slice(0, 1);
}

function measurementViews(
  pond: Pond,
  span: CurveSpan,
  curves: Curves,
  now: number,
  trueAt: number,
): MeasurementView[] {
  const key = String(pond.pondId);
  return readingViews(pond, now).map((reading) => ({
    ...reading,
    curve: curves(
      key,
      pond.readings,
      parameterOf(reading.parameter),
      pond.thresholds[reading.parameter],
      span,
      trueAt,
    ),
  }));
}

function cancelView(asked: Asked | undefined): CommandView['cancel'] {
  return { pending: asked?.kind === 'pending', error: asked?.kind === 'failed' ? asked.message : '' };
}

function orderView({ title, state }: Order): OrderView | undefined {
  switch (state.kind) {
    case 'asking':
      return { title, look: 'open', text: 'Asking the gateway …', mayRepeat: false };
    case 'answered':
      return { title, look: 'open', text: 'The gateway has taken it.', mayRepeat: false };
    case 'retrying':
      return {
        title,
        look: 'open',
        text: 'The gateway has not answered yet. Asking again; it is done once at most.',
        mayRepeat: false,
      };
    case 'refused':
      return { title, look: 'failed', text: state.text, mayRepeat: false };
    case 'unknown':
      return { title, look: 'failed', text: state.text, mayRepeat: true };
  }
}
