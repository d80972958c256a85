import { setImmediate } from 'node:timers/promises';
import type { Command } from '../../lib/command/responder-codec.js';
import { responderTopics } from '../../lib/command/responder-codec.js';
import type { ResponderStore, SeenCommand } from '../../lib/command/responder-ports.js';
import {
  createResponder,
  type Ignored,
  type Responder,
  type ResponderOptions,
} from '../../lib/command/responder-runner.js';
import type { DeadLetter } from '../../lib/core/dead-letter.js';
import { silentLog } from '../../lib/core/log.js';
import { type FakeClock, fakeClock } from './fake-clock.js';

/** The device of the seed's log entries, and the time of its command. */
export const DEVICE = 'AA:BB:CC:DD:EE:FF';
export const SENT_AT = Date.UTC(2025, 7, 30, 1, 0, 0);
export const TOPICS = responderTopics(DEVICE);

/** seed: pond-command-flow, 6, with an id of its own. */
export const seedCommand = (commandId: string, changes: Record<string, unknown> = {}) => ({
  command_id: commandId,
  command_type: 'FEED',
  pond_position: 1,
  parameters: { action: 'feed', amount: 100, timestamp: '2025-08-30T01:00:00Z' },
  timestamp: '2025-08-30T01:00:00Z',
  ...changes,
});

interface Unit {
  commit(): void;
  resolve(): void;
  reject(error: Error): void;
}

/** A responder's rows as its port promises them; what is written waits until a test commits it. */
export function seenStore() {
  const rows = new Map<string, SeenCommand>();
  const letters: DeadLetter[] = [];
  const units: Unit[] = [];
  const later = (commit: () => void) =>
    new Promise<void>((resolve, reject) => {
      units.push({ commit, resolve, reject });
    });
  const store: ResponderStore = {
    countEarlier: async ({ payload }, before) =>
      letters.filter((kept) => kept.payload.equals(payload) && kept.receivedAt < before).length,
    loadOpen: async () => [...rows.values()].filter((seen) => seen.state === 'told' || !seen.published),
    load: async (commandId) => rows.get(commandId),
    save: (seen) => later(() => void rows.set(seen.commandId, seen)),
    refuse: (letter) => later(() => void letters.push(letter)),
  };
  return {
    store,
    rows,
    letters,
    get pending() {
      return units.length;
    },
    /** Commits the oldest write. */
    async step() {
      const unit = units.shift();
      unit?.commit();
      unit?.resolve();
      await setImmediate();
    },
    /** Commits the oldest write, and nobody hears of it any more. */
    commitUnheard() {
      units.shift()?.commit();
      units.length = 0;
    },
    /** Commits the oldest write, and says that it has failed. */
    async loseAnswer() {
      const unit = units.shift();
      unit?.commit();
      unit?.reject(new Error('the answer was lost'));
      await setImmediate();
    },
    async settle() {
      await setImmediate();
      while (units.length > 0) await this.step();
    },
    /** Forgets what waits, as a power cut does. */
    kill() {
      units.length = 0;
    },
  };
}

export interface Ack {
  command_id: string;
  success?: boolean;
  message: string;
  timestamp: string;
}

/** One life of a device: from its start to a power cut. */
export interface Device {
  responder: Responder;
  clock: FakeClock;
  acts: Command[];
  ignored: Ignored[];
  /** What was published, and how it was to be. */
  acks: Ack[];
  options: { topic: string; qos: number }[];
  /** Publishes that the broker has not acknowledged. */
  publishing: { resolve(): void; reject(error: Error): void }[];
  handle(
    command: object | string,
    arrival?: { retain?: boolean; resumedAt?: number; topic?: string },
  ): Promise<void>;
}

export type DeviceSettings = Partial<Omit<ResponderOptions, 'checks'>> & {
  checks?: Partial<ResponderOptions['checks']>;
  /** False: a test lets each publish be acknowledged itself. */
  online?: boolean;
};

export function device(
  { store }: Pick<ReturnType<typeof seenStore>, 'store'>,
  { checks = {}, online = true, clock: given, ...settings }: DeviceSettings = {},
): Device {
  const clock = (given as FakeClock | undefined) ?? fakeClock(SENT_AT);
  const acks: Ack[] = [];
  const options: Device['options'] = [];
  const publishing: Device['publishing'] = [];
  const responder = createResponder({
    topics: TOPICS,
    link: {
      publish(topic, payload, { qos }) {
        acks.push(JSON.parse(String(payload)) as Ack);
        options.push({ topic, qos });
        if (online) return Promise.resolve();
        return new Promise((resolve, reject) => publishing.push({ resolve, reject }));
      },
    },
    store,
    clock,
    log: silentLog,
    checks: { types: [], parameterSchemas: {}, maxAgeMs: undefined, ...checks },
    progress: false,
    answerTimeoutMs: undefined,
    ...settings,
  });
  const acts: Command[] = [];
  const ignored: Ignored[] = [];
  responder.listen({ command: (each) => acts.push(each), ignored: (each) => ignored.push(each) });
  return {
    responder,
    clock,
    acts,
    ignored,
    acks,
    options,
    publishing,
    handle: (command, { retain = false, resumedAt, topic = TOPICS.commands } = {}) =>
      responder.handle({
        topic,
        payload: Buffer.from(typeof command === 'string' ? command : JSON.stringify(command)),
        receivedAt: clock.now(),
        retain,
        ...(resumedAt !== undefined && { resumedAt }),
      }),
  };
}
