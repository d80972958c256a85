import type { Clock, Timer } from '../lib/core/clock.js';
import { type Api, asApiError } from './api.js';
import { actionOf } from './pond-command.js';

/** What a person pressed; `retrying` and `unknown` when the gateway's answer did not come. */
export type OrderState =
  | { kind: 'asking' }
  | { kind: 'retrying' }
  | { kind: 'answered'; executionId: number }
  | { kind: 'refused'; text: string }
  | { kind: 'unknown'; text: string };

export interface Order {
  /** Idempotency-Key: all attempts at this order are one command. */
  key: string;
  pondId: number;
  action: 'feed' | 'water';
  body: Readonly<Record<string, unknown>>;
  title: string;
  at: number;
  state: OrderState;
}

export interface OrderPorts {
  api: Api;
  clock: Clock;
  newKey(): string;
  /** The order is another now: a new object. */
  changed(order: Order): void;
  /** Nobody is logged in any more. */
  loggedOut(): void;
}

/** For so long an order whose answer was lost is asked again by itself: later, nobody expects it any more. */
const RETRY_FOR_MS = 30_000;
const RETRY_MS = [1000, 2000, 4000, 8000];
/** What stands between says so; the gateway itself answered nothing. */
const NO_ANSWER = [0, 502, 503, 504];

/** Sends one press of a button to the gateway, until there is an answer: the device acts at most once. */
export class PressedOrder {
  order: Order;
  private readonly ports: OrderPorts;
  private attempts = 0;
  private askedSince: number;
  private timer: Timer | undefined;
  private closed = false;

  constructor(
    pondId: number,
    action: Order['action'],
    body: Readonly<Record<string, unknown>>,
    ports: OrderPorts,
  ) {
    this.ports = ports;
    this.askedSince = ports.clock.now();
    const wire = action === 'feed' ? 'FEED' : 'WATER';
    this.order = {
      key: ports.newKey(),
      pondId,
      action,
      body,
      title: actionOf({ action: wire, parameters: body }).title,
      at: this.askedSince,
      state: { kind: 'asking' },
    };
  }

  /** Fulfils after the first attempt; further ones go on by themselves. */
  async send(): Promise<void> {
    const { api, clock } = this.ports;
    const { pondId, action, body, key } = this.order;
    this.attempts += 1;
    try {
      const answer = await api.request(`automation/ponds/${pondId}/control/${action}/`, {
        method: 'POST',
        body,
        idempotencyKey: key,
      });
      const { data } = answer as { data: { execution_id: number } };
      this.become({ kind: 'answered', executionId: data.execution_id });
    } catch (error) {
      const problem = asApiError(error);
      if (!NO_ANSWER.includes(problem.status)) {
        if (problem.status === 401) this.ports.loggedOut();
        this.become({ kind: 'refused', text: refusalText(problem.status, problem.message) });
      } else if (clock.now() - this.askedSince < RETRY_FOR_MS) {
        this.become({ kind: 'retrying' });
        const wait = RETRY_MS[Math.min(this.attempts, RETRY_MS.length) - 1] ?? 0;
        if (!this.closed) this.timer = clock.setTimer(() => void this.send(), wait);
      } else {
        this.become({
          kind: 'unknown',
          text: 'The gateway did not answer. It may have taken the command all the same: look at the history first.',
        });
      }
    }
  }

  /** The same order once more: it is still done at most once. */
  again(): void {
    if (this.order.state.kind !== 'unknown') return;
    this.attempts = 0;
    this.askedSince = this.ports.clock.now();
    this.become({ kind: 'asking' });
    void this.send();
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  private become(state: OrderState): void {
    if (this.closed) return;
    this.order = { ...this.order, state };
    this.ports.changed(this.order);
  }
}

/** What the gateway's refusal means to who pressed (seed: pond-command-flow, Error Response Examples). */
function refusalText(status: number, message: string): string {
  if (status === 401) return 'Your login has ended. Nothing was sent: log in and press again.';
  if (status === 403) return 'This pond belongs to somebody else. Nothing was sent.';
  if (status === 404) return 'The gateway no longer knows this pond. Nothing was sent.';
  if (/not connected/i.test(message)) {
    return 'The gateway has no connection to the broker. Nothing was sent: try again later.';
  }
  return `${message.replace(/\.$/, '')}. Nothing was sent.`;
}

export interface Amount {
  grams: number | undefined;
  /** Why it is no amount; empty where it is one, or nothing was entered. */
  problem: string;
}

/** What somebody typed as an amount: a decimal comma is one too. */
export function amountOf(text: string, limitG: number): Amount {
  const typed = text.trim();
  if (typed === '') return { grams: undefined, problem: '' };
  const grams = /^\d+([.,]\d+)?$/.test(typed) ? Number(typed.replace(',', '.')) : Number.NaN;
  if (!(grams > 0)) return { grams: undefined, problem: 'An amount is a number of grams above 0.' };
  if (grams > limitG) {
    return { grams: undefined, problem: `At most ${limitG} g at once are allowed for this pond.` };
  }
  return { grams, problem: '' };
}

const PRESETS_G = [50, 100, 250];

/** Usual amounts that this pond allows: at least one. */
export function presetsOf(limitG: number): number[] {
  const allowed = PRESETS_G.filter((grams) => grams <= limitG);
  return allowed.length > 0 ? allowed : [limitG];
}
