import type { Clock } from '../lib/core/clock.js';
import { type Api, asApiError, problemOf } from './api.js';
import type { DeadLetterWire } from './laundry-wire.js';
import type { ListWire } from './lists.js';
import type { RefusedState, ReplayState } from './refused-view.js';

export interface RefusedMessagesPorts {
  api: Api;
  clock: Clock;
  changed(state: RefusedState): void;
  /** Somebody wants to replay a message, which takes a login. */
  wantsLogin(): void;
}

/** What was refused in so long is shown. */
const SHOWN_OF_MS = 86_400_000;
const SHOWN = 100;

export const NOTHING_REFUSED: RefusedState = {
  items: undefined,
  more: false,
  problem: undefined,
  replays: new Map(),
};

/** The newest refused messages of one protocol, and what became of those that somebody has sent through again. */
export class RefusedMessages {
  private state: RefusedState = NOTHING_REFUSED;
  private protocol: string | undefined;
  private readonly replays = new Map<string, ReplayState>();
  private wished: string | undefined;
  /** Counts how often all was forgotten: an answer from before is nobody's any more. */
  private session = 0;

  /** @param protocol none: the one that is opened */
  constructor(
    private readonly ports: RefusedMessagesPorts,
    protocol?: string,
  ) {
    this.protocol = protocol;
  }

  /** @throws ApiError as `load` */
  async open(protocol: string): Promise<void> {
    if (protocol !== this.protocol) this.forget();
    this.protocol = protocol;
    await this.load();
  }

  /** @throws ApiError other than 403: to read them may want more rights than to see the machines */
  async load(): Promise<void> {
    const { protocol, session } = this;
    if (protocol === undefined) return;
    const since = new Date(this.ports.clock.now() - SHOWN_OF_MS).toISOString();
    const query = `protocol=${encodeURIComponent(protocol)}&since=${since}&limit=${SHOWN}`;
    try {
      const list = (await this.ports.api.request(`dead-letters?${query}`)) as ListWire<DeadLetterWire>;
      if (protocol !== this.protocol || session !== this.session) return;
      const items = unchangedKept(this.state.items ?? [], list.items);
      this.update({ items, more: typeof list.next_cursor === 'string', problem: undefined });
    } catch (error) {
      if (asApiError(error).status !== 403) throw error;
      if (session !== this.session) return;
      this.update({ problem: problemOf(error) });
    }
  }

  /** Sends a refused message through again. */
  async replay(id: string): Promise<void> {
    this.setReplay(id, { kind: 'pending' });
    try {
      const path = `dead-letters/${encodeURIComponent(id)}/replay`;
      this.setReplay(id, replayOutcome(await this.ports.api.request(path, { method: 'POST' })));
    } catch (error) {
      const problem = asApiError(error);
      if (problem.status === 401) {
        this.wished = id;
        this.setReplay(id, undefined);
        this.ports.wantsLogin();
      } else {
        this.setReplay(id, { kind: 'failed', message: problem.message });
      }
    }
  }

  /** Somebody has logged in: replays what wanted it. */
  async replayWished(): Promise<void> {
    const id = this.wished;
    this.wished = undefined;
    if (id !== undefined) await this.replay(id);
  }

  forgetWish(): void {
    this.wished = undefined;
  }

  forget(): void {
    this.session += 1;
    this.wished = undefined;
    this.replays.clear();
    this.update(NOTHING_REFUSED);
  }

  private setReplay(id: string, replay: ReplayState | undefined): void {
    if (replay === undefined) this.replays.delete(id);
    else this.replays.set(id, replay);
    this.update({ replays: new Map(this.replays) });
  }

  private update(part: Partial<RefusedState>): void {
    this.state = { ...this.state, ...part };
    this.ports.changed(this.state);
  }
}

/** The same item stays the same object, so that what was decoded from it is kept. */
function unchangedKept(old: readonly DeadLetterWire[], fresh: readonly DeadLetterWire[]): DeadLetterWire[] {
  const known = new Map(old.map((item) => [item.id, item]));
  return fresh.map((item) => known.get(item.id) ?? item);
}

function replayOutcome(answer: unknown): ReplayState {
  const outcome = answer as { accepted?: boolean; message?: string } | undefined;
  return outcome?.accepted === false
    ? { kind: 'refused_again', message: outcome.message ?? '' }
    : { kind: 'accepted' };
}
