import type { Problem } from './api.js';
import type { DeadLetterWire } from './laundry-wire.js';
import { type PayloadText, payloadText } from './payload-text.js';
import { agoWords, exactTime } from './words.js';

export type ReplayState =
  | { kind: 'pending' }
  | { kind: 'accepted' }
  | { kind: 'refused_again'; message: string }
  | { kind: 'failed'; message: string };

export interface RefusedState {
  /** Newest first; undefined until they came. */
  items: readonly DeadLetterWire[] | undefined;
  /** There are more than `items`. */
  more: boolean;
  problem: Problem | undefined;
  replays: ReadonlyMap<string, ReplayState>;
}

export interface RefusedItemView {
  id: string;
  ago: string;
  exact: string;
  code: string;
  message: string;
  pointer: string;
  topic: string;
  payload: PayloadText;
  replay: { kind: ReplayState['kind'] | 'none'; text: string };
}

export interface RefusedView {
  /** For the button: `0`, `7`, `100+`. */
  count: string;
  none: boolean;
  loading: boolean;
  problem: Problem | undefined;
  items: readonly RefusedItemView[];
}

/** Payloads are decoded once: a page is drawn every second. */
const decoded = new WeakMap<DeadLetterWire, PayloadText>();

export function refusedView(state: RefusedState, now: number): RefusedView {
  const items = (state.items ?? []).map((item) => itemView(item, state.replays.get(String(item.id)), now));
  return {
    count: state.more ? `${items.length}+` : String(items.length),
    none: items.length === 0,
    loading: state.items === undefined && state.problem === undefined,
    problem: state.problem,
    items,
  };
}

function itemView(item: DeadLetterWire, replay: ReplayState | undefined, now: number): RefusedItemView {
  const at = Date.parse(item.received_at);
  let payload = decoded.get(item);
  if (payload === undefined) {
    payload = payloadText(item.payload_base64);
    decoded.set(item, payload);
  }
  return {
    id: String(item.id),
    ago: agoWords(at, now),
    exact: exactTime(at),
    code: item.code,
    message: item.message,
    pointer: item.pointer ?? '',
    topic: item.topic,
    payload,
    replay: { kind: replay?.kind ?? 'none', text: replayText(replay) },
  };
}

function replayText(replay: ReplayState | undefined): string {
  switch (replay?.kind) {
    case undefined:
      return '';
    case 'pending':
      return 'Sending it through again …';
    case 'accepted':
      return 'Accepted this time.';
    case 'refused_again':
      return `Refused again: ${replay.message}`;
    case 'failed':
      return `Could not be replayed: ${replay.message}`;
  }
}
