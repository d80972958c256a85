import type { Problem } from './api.js';
import { type ConnectionView, connectionView } from './connection-view.js';
import type { FeedState } from './live-feed.js';
import type { LoginState } from './login.js';
import { type OverviewAttention, overviewAttention } from './overview-attention.js';
import { type OverviewCardView, overviewCards } from './overview-cards.js';
import type { OverviewWire } from './overview-wire.js';
import { type RefusedState, type RefusedView, refusedView } from './refused-view.js';
import { counted } from './words.js';

/** All that the page knows; `viewOf` turns it into what a person reads. Times are epoch milliseconds UTC. */
export interface OverviewPageState {
  username: string | undefined;
  /** Undefined until the gateway has told it. */
  overview: OverviewWire | undefined;
  reachable: boolean;
  answeredAt: number | undefined;
  /** While the gateway does not answer: when it is asked again. */
  retryAt: number | undefined;
  problem: Problem | undefined;
  /** read: nothing can be shown without one. more: somebody wants to see what wants a login. */
  login: (LoginState & { purpose: 'read' | 'more' | 'replay' }) | undefined;
  refused: RefusedState;
}

export interface OverviewView {
  phase: 'loading' | 'login' | 'error' | 'ready';
  username: string;
  connection: ConnectionView;
  problem: Problem | undefined;
  login: OverviewPageState['login'];
  attention: readonly OverviewAttention[];
  cards: readonly OverviewCardView[];
  /** Nothing is connected. */
  empty: boolean;
  /** All is well with what can be seen. */
  well: boolean;
  wellText: string;
  refused: RefusedView;
  /** What a screen reader is to say as it changes. */
  spoken: string;
}

/** Longer ago than this an answer is of no use. */
const STALE_FOR_MS = 30_000;

const cardsOf = new WeakMap<OverviewWire, OverviewCardView[]>();

/** @param now to which ages are counted */
export function viewOf(state: OverviewPageState, now: number): OverviewView {
  const { overview, login, problem, username } = state;
  const attention = overview === undefined ? [] : overviewAttention(overview, now);
  const cards = overview === undefined ? [] : keptCards(overview);
  const states = cards.map((card) => card.state);
  const hidden = states.includes('unauthenticated');
  const empty = cards.length > 0 && !states.includes('ready') && !states.includes('failed');
  return {
    phase: phaseOf(state),
    username: username ?? '',
    connection: connectionView([connectionOf(state, now)], state.reachable, state.answeredAt, now),
    problem,
    login,
    attention,
    cards,
    empty,
    well: overview !== undefined && !empty && attention.length === 0 && !states.includes('failed'),
    wellText: hidden
      ? 'Nothing that can be seen without a login needs attention.'
      : 'Nothing needs attention.',
    refused: refusedView(state.refused, now),
    spoken:
      overview === undefined
        ? ''
        : attention.length === 0
          ? 'Nothing needs attention'
          : `${counted(attention.length, 'thing needs', 'things need')} attention`,
  };
}

function phaseOf({ login, overview, problem }: OverviewPageState): OverviewView['phase'] {
  if (login?.purpose === 'read') return 'login';
  if (overview === undefined) return problem === undefined ? 'loading' : 'error';
  return 'ready';
}

/** The same object for the same answer, so that a curve is drawn again only where there is something new. */
function keptCards(overview: OverviewWire): OverviewCardView[] {
  const kept = cardsOf.get(overview) ?? overviewCards(overview);
  cardsOf.set(overview, kept);
  return kept;
}

/** The page asks again and again; that is told as a live feed tells of itself. */
function connectionOf({ reachable, answeredAt, retryAt }: OverviewPageState, now: number): FeedState {
  if (answeredAt === undefined)
    return reachable
      ? { kind: 'connecting' }
      : { kind: 'disconnected', asOf: undefined, retryAt: retryAt ?? now };
  if (reachable) return { kind: 'live', asOf: answeredAt };
  const kind = now - answeredAt > STALE_FOR_MS ? 'disconnected' : 'stale';
  return { kind, asOf: answeredAt, retryAt: retryAt ?? now };
}
