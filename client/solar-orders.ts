import type { Clock } from '../lib/core/clock.js';
import { type Api, asApiError } from './api.js';
import { hasEnded, reactionOf, type Sent, type SentState } from './solar-command.js';
import type { Machine } from './solar-fleet.js';
import type { SentWire } from './solar-wire.js';

export interface OrdersPorts {
  api: Api;
  clock: Clock;
  /** `list` is another now. */
  changed(): void;
  /** It wants a login: what was pressed is handed back, and is not in the list any more. */
  wantsLogin(press: Press): void;
}

/** What somebody wants of a machine. */
export interface Press {
  machine: Pick<Machine, 'key' | 'companyId' | 'machineId' | 'status'>;
  command: string;
  params: Readonly<Record<string, unknown>>;
}

type CreatedWire = SentWire & { created_at: string };

/** The gateway holds an answer back until a command has ended, for so many seconds. */
const WAIT_S = 8;
/** After so many of them nobody looks any more. */
const WAITS = 10;
const KEPT = 20;
/** What stands between the page and the gateway says these; the gateway itself has answered nothing. */
const NO_ANSWER = [-1, 0, 502, 504];

/** Commands that were pressed on this page: each is asked for once, since a machine acts on each that it gets. */
export class Orders {
  /** Newest first. */
  list: readonly Sent[] = [];
  private readonly ports: OrdersPorts;
  private lastId = 0;
  private closed = false;

  constructor(ports: OrdersPorts) {
    this.ports = ports;
  }

  /** Shows it at once, and fulfils when its way is known to its end. */
  async send(press: Press): Promise<void> {
    const { api, clock } = this.ports;
    const { machine, command, params } = press;
    this.lastId += 1;
    const id = this.lastId;
    const sent: Sent = {
      ...{ id, machine: machine.key, command, params, at: clock.now() },
      ...{ state: { kind: 'asking' }, reaction: undefined, before: machine.status },
    };
    this.list = [sent, ...this.list].slice(0, KEPT);
    this.changed();
    const path = pathOf(machine);
    try {
      const body = { command, params };
      const answer = (await api.request(`${path}/command`, { method: 'POST', body })) as CreatedWire;
      this.become(id, this.taken(answer));
      await this.follow(id, path, answer);
    } catch (error) {
      const { status, message, pointer } = asApiError(error);
      if (status === 401) {
        this.list = this.list.filter((one) => one.id !== id);
        this.changed();
        this.ports.wantsLogin(press);
      } else if (NO_ANSWER.includes(status)) {
        const text =
          'The gateway did not answer. It may have sent it all the same: look before you send it again.';
        this.become(id, { kind: 'unknown', text });
      } else this.become(id, { kind: 'refused', text: refusalWords(status, message), pointer });
    }
  }

  /** The machine has said something of its status. */
  heard(machine: Machine): void {
    const list = this.list.map((sent) => {
      if (sent.machine !== machine.key) return sent;
      const reaction = reactionOf(sent, machine);
      return reaction === sent.reaction ? sent : { ...sent, reaction };
    });
    if (list.every((sent, index) => sent === this.list[index])) return;
    this.list = list;
    this.changed();
  }

  /** Nothing of a login stays when it ends. */
  forget(): void {
    this.list = [];
  }

  close(): void {
    this.closed = true;
  }

  /** That an answer does not come makes nothing of it undone: then it stays as it is known. */
  private async follow(id: number, path: string, created: CreatedWire): Promise<void> {
    let answer: SentWire = created;
    for (let wait = 0; wait < WAITS && !hasEnded(answer.status) && !this.closed; wait += 1) {
      try {
        answer = (await this.ports.api.request(`${path}/commands/${created.command_id}`, {
          waitS: WAIT_S,
        })) as SentWire;
      } catch {
        return;
      }
      this.become(id, this.taken({ ...created, ...answer }));
    }
  }

  private taken(answer: CreatedWire): SentState {
    return {
      kind: 'taken',
      commandId: answer.command_id,
      status: answer.status,
      createdAt: Date.parse(answer.created_at),
      answeredAt: this.ports.clock.now(),
      message: answer.message,
    };
  }

  private become(id: number, state: SentState): void {
    this.list = this.list.map((sent) => (sent.id === id ? { ...sent, state } : sent));
    this.changed();
  }

  private changed(): void {
    if (!this.closed) this.ports.changed();
  }
}

export const pathOf = ({ companyId, machineId }: Pick<Machine, 'companyId' | 'machineId'>) =>
  `companies/${encodeURIComponent(companyId)}/machines/${encodeURIComponent(machineId)}`;

/** What the gateway's refusal means to who pressed. */
function refusalWords(status: number, message: string): string {
  if (status === 403) return 'Your login may not command machines of this company. Nothing was sent.';
  return `${message.replace(/\.$/, '')}. Nothing was sent.`;
}
