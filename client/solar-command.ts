import type { Machine } from './solar-fleet.js';
import type { CommandStatus } from './solar-wire.js';
import { statusWord } from './solar-words.js';
import { clockTime, durationWords, exactTime } from './words.js';

/** What somebody pressed, and how far it is known to have come. */
export interface Sent {
  /** Of this page. */
  id: number;
  machine: string;
  command: string;
  params: Readonly<Record<string, unknown>>;
  at: number;
  state: SentState;
  /** The machine's word on its status after that; machines acknowledge nothing. `after` is ms by the gateway's clock. */
  reaction: { status: string; after: number } | undefined;
  /** What it showed as it was pressed. */
  before: string;
}

export type SentState =
  | { kind: 'asking' }
  /** The gateway has stored it: `createdAt` by its clock, `answeredAt` when this page knew of the status. */
  | {
      kind: 'taken';
      commandId: string;
      status: CommandStatus;
      createdAt: number;
      answeredAt: number;
      message: string | undefined;
    }
  /** @param pointer to what is wrong, for example `/params/speed` */
  | { kind: 'refused'; text: string; pointer: string | undefined }
  | { kind: 'unknown'; text: string };

export interface SentStep {
  name: string;
  state: 'done' | 'now' | 'ahead' | 'failed';
  icon: string;
  text: string;
  /** How long after it was pressed. */
  after: string;
}

export interface SentView {
  id: number;
  title: string;
  params: string;
  time: string;
  exact: string;
  look: 'open' | 'completed' | 'failed';
  steps: readonly SentStep[];
  text: string;
  /** The same without what changes each second, to be said aloud. */
  spoken: string;
}

const ICONS: Readonly<Record<SentStep['state'], string>> = {
  done: 'mdi-check',
  now: 'mdi-dots-horizontal',
  ahead: 'mdi-circle-small',
  failed: 'mdi-close',
};

const step = (name: string, state: SentStep['state'], text = '', after = ''): SentStep => ({
  ...{ name, state, icon: ICONS[state], text, after },
});

export const hasEnded = (status: CommandStatus) => status === 'COMPLETED' || status === 'FAILED';

/** What the machine has made of it: its next word on its status, or the first one that is another than before. */
export function reactionOf(sent: Sent, { reportedAt, status }: Machine): Sent['reaction'] {
  const { state, reaction, before } = sent;
  if (state.kind !== 'taken' || reportedAt === undefined || reportedAt < state.createdAt) return reaction;
  const isFirst = reaction === undefined;
  const isChange = reaction?.status === before && status !== before;
  const after = reportedAt - state.createdAt;
  return (isFirst || isChange) && after <= REACTS_WITHIN_MS ? { status, after } : reaction;
}

/** For so long a word of the machine on its status is waited for: it says one when it changes, and now and then. */
const REACTS_WITHIN_MS = 2 * 60_000;

/** @param now epoch milliseconds UTC */
export function sentView(sent: Sent, now: number): SentView {
  const { id, command, params, at } = sent;
  const { steps, look, text } = way(sent, now);
  return {
    id,
    title: command,
    params: Object.keys(params).length === 0 ? '' : paramWords(params),
    time: clockTime(at, now),
    exact: exactTime(at),
    look,
    steps,
    text,
    spoken: `${command}: ${text}`,
  };
}

/** `speed 5, mode auto`. */
function paramWords(params: Readonly<Record<string, unknown>>): string {
  return Object.entries(params)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');
}

function way(sent: Sent, now: number): Pick<SentView, 'steps' | 'look' | 'text'> {
  const { state } = sent;
  switch (state.kind) {
    case 'asking':
      return {
        steps: [step('Gateway', 'now'), step('Broker', 'ahead'), step('Machine', 'ahead')],
        look: 'open',
        text: 'Asking the gateway.',
      };
    case 'refused':
      return { steps: [step('Gateway', 'failed', 'refused')], look: 'failed', text: state.text };
    case 'unknown':
      return { steps: [step('Gateway', 'failed', 'no answer')], look: 'failed', text: state.text };
    case 'taken':
      return takenWay(sent, state, now);
  }
}

function takenWay(
  sent: Sent,
  { status, message, answeredAt }: Extract<SentState, { kind: 'taken' }>,
  now: number,
): Pick<SentView, 'steps' | 'look' | 'text'> {
  const gateway = step('Gateway', 'done', 'has it');
  if (status === 'FAILED') {
    const steps = [gateway, step('Broker', 'failed', 'not sent')];
    return { steps, look: 'failed', text: message ?? 'It could not be sent.' };
  }
  if (status !== 'COMPLETED') {
    const steps = [gateway, step('Broker', 'now'), step('Machine', 'ahead')];
    return { steps, look: 'open', text: 'The gateway has it; the broker has not confirmed it yet.' };
  }
  const broker = step('Broker', 'done', 'has it', afterWords(answeredAt - sent.at));
  const { reaction, before } = sent;
  if (reaction !== undefined) {
    const word = statusWord(reaction.status);
    const machine = step('Machine', 'done', word, afterWords(reaction.after));
    const text =
      reaction.status === before
        ? `Sent. The machine says ${word}, as before.`
        : `Sent. The machine says ${word}; before it was ${statusWord(before)}.`;
    return { steps: [gateway, broker, machine], look: 'completed', text };
  }
  if (now - sent.at > REACTS_WITHIN_MS) {
    const text = 'Sent. The machine has not said anything of its status since: look at it.';
    return { steps: [gateway, broker, step('Machine', 'ahead', 'silent')], look: 'completed', text };
  }
  const steps = [gateway, broker, step('Machine', 'now', 'no word yet')];
  return { steps, look: 'open', text: 'Sent. What the machine does shows in its next status.' };
}

/** `+0.08 s`, `+12 s`. */
function afterWords(ms: number): string {
  const gone = Math.max(0, ms);
  return gone < 10_000 ? `+${(gone / 1000).toFixed(gone < 95 ? 2 : 1)} s` : `+${durationWords(gone)}`;
}
