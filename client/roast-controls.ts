import type { Clock, Timer } from '../lib/core/clock.js';

/** One control as a person sees it: what it is, what was asked for, and why not. Values 0 to 1. */
export interface ControlState {
  /** Last value that the machine has really taken; null where nobody has set it yet. */
  applied: number | null;
  /** Asked for and not yet answered. */
  wanted: number | null;
  /** Why the last wish was refused; empty where it was not. */
  problem: string;
}

/** What the gateway answers (seed: roast-protocol, `control_ack`). */
export interface ControlAck {
  channel: string;
  value: number;
  applied: boolean;
  message: string;
}

const UNTOUCHED: ControlState = { applied: null, wanted: null, problem: '' };
/** A slider that is dragged asks no oftener. */
const ASK_EVERY_MS = 80;
/** An answer that has not come by then does not come any more. */
const ANSWER_WITHIN_MS = 5_000;

interface Channel {
  state: ControlState;
  /** Asked for since the last message went out. */
  next: number | undefined;
  unanswered: number;
  resting: Timer | undefined;
  late: Timer | undefined;
}

/** The controls of one machine: what sliders ask for goes out at a pace, the newest value last. */
export class RoastControls {
  readonly #channels = new Map<string, Channel>();

  constructor(
    private readonly clock: Clock,
    /** @returns false where it could not go out */
    private readonly send: (channel: string, value: number) => boolean,
    private readonly changed: () => void,
  ) {}

  of(channel: string): ControlState {
    return this.#channels.get(channel)?.state ?? UNTOUCHED;
  }

  /** A person has moved it. @param value 0 to 1 */
  ask(channel: string, value: number): void {
    const known = this.#channel(channel);
    known.next = Math.min(1, Math.max(0, value));
    known.state = { ...known.state, wanted: known.next, problem: '' };
    this.changed();
    if (known.resting === undefined) this.#go(channel, known);
  }

  /** The gateway has answered, whoever asked. */
  answered({ channel, value, applied, message }: ControlAck): void {
    const known = this.#channel(channel);
    known.unanswered = Math.max(0, known.unanswered - 1);
    const settled = known.unanswered === 0 && known.next === undefined;
    if (settled) known.late?.cancel();
    known.state = {
      applied: applied ? value : known.state.applied,
      wanted: settled ? null : known.state.wanted,
      problem: applied ? '' : message,
    };
    this.changed();
  }

  /** Whatever was asked for is nobody's any more: somebody else controls, or the connection is lost. */
  giveUp(problem: string): void {
    for (const known of this.#channels.values()) {
      if (known.state.wanted === null) continue;
      this.#reset(known, problem);
    }
    this.changed();
  }

  /** What the machine has, as the gateway tells it. */
  load(values: Readonly<Record<string, number>>): void {
    for (const [channel, applied] of Object.entries(values)) {
      const known = this.#channel(channel);
      known.state = { ...known.state, applied };
    }
    this.changed();
  }

  close(): void {
    for (const { resting, late } of this.#channels.values()) {
      resting?.cancel();
      late?.cancel();
    }
  }

  #channel(channel: string): Channel {
    const known = this.#channels.get(channel);
    if (known !== undefined) return known;
    const made = { state: UNTOUCHED, next: undefined, unanswered: 0, resting: undefined, late: undefined };
    this.#channels.set(channel, made);
    return made;
  }

  #go(channel: string, known: Channel): void {
    known.resting = undefined;
    const value = known.next;
    if (value === undefined) return;
    known.next = undefined;
    if (!this.send(channel, value)) {
      this.#reset(known, 'Not connected: nothing was sent.');
      this.changed();
      return;
    }
    known.unanswered += 1;
    known.resting = this.clock.setTimer(() => this.#go(channel, known), ASK_EVERY_MS);
    known.late?.cancel();
    known.late = this.clock.setTimer(() => {
      this.#reset(known, 'The machine has not answered.');
      this.changed();
    }, ANSWER_WITHIN_MS);
  }

  #reset(known: Channel, problem: string): void {
    known.next = undefined;
    known.unanswered = 0;
    known.late?.cancel();
    known.state = { ...known.state, wanted: null, problem };
  }
}
