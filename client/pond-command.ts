import type { Execution, Transition } from './pond-state.js';
import type { CommandStatus } from './pond-wire.js';
import { clockTime, durationWords, exactTime } from './words.js';

/** One station of a command's way (seed: pond-command-flow, 9). */
export interface StepView {
  status: CommandStatus;
  /** `done` is behind it, `now` is where it is, `skipped` it never saw, `ahead` is still to come. */
  state: 'done' | 'now' | 'ahead' | 'skipped' | 'failed';
  icon: string;
  /** When it was reached; empty where it was not. */
  time: string;
  exact: string;
  /** How long after the step before it. */
  after: string;
  /** Beside it, for example how often it was sent. */
  note: string;
}

export interface ProgressView {
  executionId: number;
  /** `Feed 100 g`. */
  title: string;
  icon: string;
  look: 'open' | 'completed' | 'failed' | 'ended';
  status: CommandStatus;
  steps: readonly StepView[];
  /** Where it stands, in plain words. */
  text: string;
  /** The same without what changes each second, to be said aloud. */
  spoken: string;
  started: string;
  exact: string;
  ended: boolean;
  mayCancel: boolean;
  /** Each line of its history, oldest first. */
  lines: readonly { key: string; time: string; exact: string; text: string }[];
}

const WAY: readonly CommandStatus[] = ['PENDING', 'SENT', 'ACKNOWLEDGED', 'COMPLETED'];

const STATE_ICONS: Record<StepView['state'], string> = {
  done: 'mdi-check',
  now: 'mdi-dots-horizontal',
  ahead: 'mdi-circle-small',
  skipped: 'mdi-minus',
  failed: 'mdi-close',
};

/** What a command is about: the verb for people, and what to fear where its outcome is unknown. */
interface Action {
  title: string;
  icon: string;
  /** Sentence for an outcome that nobody knows. */
  unknown: string;
  /** Sentence for one that was never sent. */
  nothing: string;
}

export function actionOf({ action, parameters }: Pick<Execution, 'action' | 'parameters'>): Action {
  if (/FEED/i.test(action)) {
    const amount = parameters['feed_amount'] ?? parameters['amount'];
    return {
      title: typeof amount === 'number' ? `Feed ${gramsWords(amount)}` : 'Feed',
      icon: 'mdi-fish',
      unknown: 'It may have fed all the same: look before you feed again.',
      nothing: 'Nothing was fed.',
    };
  }
  if (/WATER/i.test(action)) {
    return {
      title: waterTitle(parameters),
      icon: 'mdi-valve',
      unknown: 'The valve may have moved all the same: look before you try again.',
      nothing: 'The valve was not moved.',
    };
  }
  return {
    title: action.toLowerCase().replaceAll('_', ' '),
    icon: 'mdi-cog-outline',
    unknown: 'It may have acted all the same: look before you try again.',
    nothing: 'Nothing was done.',
  };
}

/** `100 g`, `1.5 kg`. */
export function gramsWords(grams: number): string {
  if (grams >= 1000 && grams % 100 === 0) return `${grams / 1000} kg`;
  return `${Number(grams.toFixed(1))} g`;
}

/** The words of the form: `Open the valve for 5 min`. */
export function waterTitle(parameters: Readonly<Record<string, unknown>>): string {
  const { action, duration_s: duration } = parameters;
  if (action === 'close') return 'Close the water valve';
  const long = typeof duration === 'number' ? ` for ${durationWords(duration * 1000)}` : '';
  return `Open the water valve${long}`;
}

/** @param now epoch milliseconds UTC */
export function progressView(execution: Execution, now: number): ProgressView {
  const { command, executionId, createdAt } = execution;
  const action = actionOf(execution);
  const status = statusOf(execution);
  const reached = reachedTimes(execution);
  const look = lookOf(status);
  const { text, spoken } = standing(execution, status, reached, action, now);
  return {
    executionId,
    title: action.title,
    icon: action.icon,
    look,
    status,
    steps: stepsOf(execution, status, reached, now),
    text,
    spoken: `${action.title}: ${spoken}`,
    started: clockTime(createdAt, now),
    exact: exactTime(createdAt),
    ended: look !== 'open',
    mayCancel: look === 'open',
    lines: (command?.history ?? []).map((line, index) => ({
      key: `${index}`,
      time: clockTime(line.at, now),
      exact: exactTime(line.at),
      text: lineText(line),
    })),
  };
}

/** What became of it, in a few words: for a card. */
export function outcomeWords({ look, status }: Pick<ProgressView, 'look' | 'status'>): string {
  if (look === 'completed') return 'done';
  return (
    { PENDING: 'waits', SENT: 'sent', ACKNOWLEDGED: 'taken by the device', FAILED: 'failed' }[
      status as string
    ] ?? status.toLowerCase()
  );
}

function statusOf({ status, command }: Execution): CommandStatus {
  if (command !== undefined) return command.status;
  return status === 'COMPLETED' || status === 'FAILED' ? status : 'PENDING';
}

function lookOf(status: CommandStatus): ProgressView['look'] {
  if (status === 'COMPLETED') return 'completed';
  if (status === 'FAILED') return 'failed';
  return status === 'EXPIRED' || status === 'CANCELLED' ? 'ended' : 'open';
}

/** When each status was seen first. */
function reachedTimes({ command, createdAt, completedAt, status }: Execution): Map<CommandStatus, number> {
  const times = new Map<CommandStatus, number>([['PENDING', createdAt]]);
  for (const { status, at } of command?.history ?? []) {
    if (!times.has(status)) times.set(status, at);
  }
  // The end that counts is the last one: a success may come after the failure.
  const end = command?.status ?? status;
  const last = command?.history.findLast((line) => line.status === end);
  if (last !== undefined) times.set(last.status, last.at);
  else if (completedAt !== undefined) times.set(end as CommandStatus, completedAt);
  return times;
}

function stepsOf(
  { command }: Execution,
  status: CommandStatus,
  reached: ReadonlyMap<CommandStatus, number>,
  now: number,
): StepView[] {
  const last: CommandStatus = WAY.includes(status) ? 'COMPLETED' : status;
  const ended = lookOf(status) !== 'open';
  let before: number | undefined;
  return [...WAY.slice(0, 3), last].map((step) => {
    const at = reached.get(step);
    const after = at === undefined || before === undefined ? '' : afterWords(at - before);
    before = at ?? before;
    const state = stepState(step, status, reached, ended);
    return {
      status: step,
      state,
      icon: STATE_ICONS[state],
      time: at === undefined ? '' : clockTime(at, now),
      exact: at === undefined ? '' : exactTime(at),
      after,
      note: step === 'SENT' && (command?.attempts ?? 0) > 1 ? `sent ${command?.attempts} times` : '',
    };
  });
}

function stepState(
  step: CommandStatus,
  status: CommandStatus,
  reached: ReadonlyMap<CommandStatus, number>,
  ended: boolean,
): StepView['state'] {
  if (step === status) {
    if (!ended) return 'now';
    return status === 'COMPLETED' ? 'done' : 'failed';
  }
  // A quick answer overtakes the broker's word that it was sent.
  if (WAY.slice(WAY.indexOf(step)).some((later) => reached.has(later))) return 'done';
  return ended ? 'skipped' : 'ahead';
}

/** `+0.3 s`, `+12 s`. */
function afterWords(ms: number): string {
  const gone = Math.max(0, ms);
  return gone < 10_000 ? `+${(gone / 1000).toFixed(gone < 95 ? 2 : 1)} s` : `+${durationWords(gone)}`;
}

function standing(
  execution: Execution,
  status: CommandStatus,
  reached: ReadonlyMap<CommandStatus, number>,
  action: Action,
  now: number,
): { text: string; spoken: string } {
  const same = (text: string) => ({ text, spoken: text });
  const waiting = (text: string) => {
    const since = reached.get(status) ?? execution.createdAt;
    const spoken = `${text}.`;
    return now - since < 1000 ? same(spoken) : { text: `${text}, ${durationWords(now - since)}.`, spoken };
  };
  const attempts = execution.command?.attempts ?? 0;
  switch (status) {
    case 'PENDING':
      return waiting(attempts === 0 ? 'Stored, waiting for its turn' : 'On its way to the device');
    case 'SENT':
      return attempts > 1
        ? waiting(`No answer yet, sent ${attempts} times; waiting`)
        : waiting('Sent, waiting for the device’s answer');
    case 'ACKNOWLEDGED':
      return waiting('The device has it and works on it');
    case 'COMPLETED':
      return same(doneText(execution));
    case 'CANCELLED':
      return same(
        givenUpText(
          execution,
          'Cancelled before it was sent.',
          'Cancelled, but it had been sent already.',
          action,
        ),
      );
    case 'EXPIRED':
      return same(
        givenUpText(
          execution,
          'Too old to be sent any more.',
          'Too old to be sent again, and the device has not answered.',
          action,
        ),
      );
    case 'FAILED':
      return same(failureText(execution, action));
  }
}

/** The device said later the contrary of what it had said, or did what had been given up. */
const contradicted = ({ command }: Execution) =>
  command?.history.some(({ event }) => event === 'anomaly') === true;

function doneText(execution: Execution): string {
  const { command } = execution;
  if (contradicted(execution))
    return 'Done, by the device’s first answer. A later one says that it failed: look.';
  if (command?.late === true) return 'Done. The device’s answer came late, after it was counted as failed.';
  return command?.message ? `Done. The device says: ${command.message}` : 'Done.';
}

/** For what was given up before the device had answered. */
function givenUpText(
  execution: Execution,
  unsent: string,
  sent: string,
  { unknown, nothing }: Action,
): string {
  if (contradicted(execution)) return `${sent} The device has done it all the same.`;
  return execution.command?.attempts === 0 ? `${unsent} ${nothing}` : `${sent} ${unknown}`;
}

/** Why it failed, and what that means for who pressed (protocols.md "Commands": failure reasons). */
function failureText(execution: Execution, action: Action): string {
  const { command } = execution;
  const said = command?.message;
  switch (command?.reason) {
    case 'device':
      if (contradicted(execution)) {
        return `The device said that it could not do it, and later that it has done it. ${action.unknown}`;
      }
      return said ? `The device could not do it. It says: ${said}` : 'The device could not do it.';
    case 'timeout':
      return `No answer from the device in time. ${action.unknown}`;
    case 'execution_timeout':
      return `The device took the command but never said that it was done. ${action.unknown}`;
    case 'not_connected':
    case undefined:
      return contradicted(execution)
        ? `${NOT_CONNECTED} The device has done it all the same.`
        : `${NOT_CONNECTED} ${action.nothing}`;
    default:
      return said ? `It failed: ${said}` : `It failed: ${command?.reason}.`;
  }
}

const NOT_CONNECTED = 'The gateway had no connection to the broker.';

const EVENT_WORDS: Readonly<Record<string, string>> = {
  created: 'stored',
  published: 'sent to the device',
  resent: 'sent again',
  unanswered: 'no answer in time',
  refused: 'the broker refused it',
  acknowledged: 'answered by the device',
  completed: 'done',
  failed: 'given up',
  expired: 'too old',
  cancelled: 'cancelled',
  late: 'a late answer',
  anomaly: 'an answer that contradicts the first',
};

/** `SENT: sent to the device, attempt 2`. */
function lineText({ status, event, attempt, message }: Transition): string {
  const words = EVENT_WORDS[event] ?? event.replaceAll('_', ' ');
  const which = attempt > 1 ? `, attempt ${attempt}` : '';
  const said = message ? `: ${message}` : '';
  return `${status}: ${words}${which}${said}`;
}

/** `fed 100 g`, for what was done last. */
export function pastWords(execution: Execution): string {
  const { title } = actionOf(execution);
  return title
    .replace(/^Feed/, 'Fed')
    .replace(/^Open /, 'Opened ')
    .replace(/^Close /, 'Closed ');
}
