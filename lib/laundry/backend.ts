import type { Clock } from '../core/clock.js';
import type { DeadLetter } from '../core/dead-letter.js';
import type { Refusal } from '../core/envelope.js';
import { asError, FieldloomError } from '../core/errors.js';
import { LIVENESS, type LivenessSettings } from '../core/liveness.js';
import type { Log } from '../core/log.js';
import { createRedelivery } from '../core/redelivery.js';
import { watchSilence } from '../core/silence.js';
import { patientReader, whenPossible } from '../core/when-possible.js';
import { type Chain, createChain } from './chain.js';
import { type MachineStateMessage, metricsTopic, type Parsed, parse } from './codec.js';
import { type Counters, countRefused, countTally, newCounters } from './counters.js';
import type { LaundryStore, MessageRecord, StateChange } from './ports.js';
import { outcomeOf, refusedLetters } from './record.js';
import { type ControllerState, deadlineOf, type Effects, type Tally } from './state.js';
import { createTurns } from './turns.js';

/** A message as it came from a link or a wire. */
export interface Arrival {
  topic: string;
  payload: Buffer;
  /** Epoch milliseconds UTC. */
  receivedAt: number;
  /** As in Message: where it is set, the message may be a repetition. */
  resumedAt?: number;
}

/** A message of which something was accepted, or that said again what is known. */
export interface Snapshot {
  message: MachineStateMessage;
  receivedAt: number;
  tally: Tally;
}

/** What is told when the rows are committed, once each, for each controller in the order of its messages. */
export interface BackendListener {
  change?(change: StateChange): void;
  snapshot?(snapshot: Snapshot): void;
  /** The controller came or went. While it is offline its machines are shown as `unknown`. */
  liveness?(controller: ControllerState): void;
  refused?(letter: DeadLetter): void;
}

export interface BackendOptions {
  store: LaundryStore;
  clock: Clock;
  log: Log;
  settings?: Partial<LivenessSettings> & {
    /** Before the topic, for example `lms`. */
    prefix?: string;
  };
}

/** What became of a dead letter that was read again. */
export interface ReplayResult {
  /** Machines that changed something. */
  accepted: number;
  /** What is still wrong; the dead letter is kept then. */
  refusals: Refusal[];
}

export interface Backend {
  /** MQTT filter of the topics to be handled. */
  readonly filter: string;
  readonly counters: Counters;
  /** Controllers known, and how many of them are online. */
  count(): { known: number; online: number };
  /** Loads what is stored. Messages handled before that wait for it. */
  start(): Promise<void>;
  /**
   * Fulfils when the message is one committed row or dead letter: it is the MQTT acknowledgement.
   * @throws what the store rejects with; the message is then not acknowledged
   */
  handle(arrival: Arrival): Promise<void>;
  /** Reads a dead letter again. It says nothing of whether the controller is there, and makes no new dead letter. */
  replay(letter: DeadLetter): Promise<ReplayResult>;
  /** Calls back from now on; the answer removes the listener. */
  listen(listener: BackendListener): () => void;
  /** Fulfils when nothing is on its way any more; what comes later is rejected. */
  close(): Promise<void>;
}

/** The gateway's side of the laundry protocol (protocols.md "Laundry: machine state"). */
export function createBackend({ store, clock, log, settings: given = {} }: BackendOptions): Backend {
  const settings = { ...LIVENESS, ...given };
  const topic = metricsTopic(settings.prefix);
  const chains = new Map<string, Chain>();
  const listeners = new Set<BackendListener>();
  const counters = newCounters();
  const patiently = patientReader(clock, () => closed);
  const isRepeated = createRedelivery(store, patiently);
  /** Messages of a topic wait behind one that is being unpacked or looked up. */
  const turns = createTurns();
  const silence = watchSilence(clock, lookForSilence);
  let listeningSince = 0;
  let ready: Promise<void> | undefined;
  let loaded = false;
  let closed = false;
  let onTheWay = 0;
  let idle: (() => void) | undefined;

  function tell<Name extends keyof BackendListener>(
    name: Name,
    value: Parameters<Required<BackendListener>[Name]>[0],
  ): void {
    for (const listener of listeners) {
      try {
        (listener[name] as ((value: unknown) => void) | undefined)?.(value);
      } catch (error) {
        log.error(`laundry: a listener failed: ${asError(error).message}`);
      }
    }
  }

  function addChain(
    storeId: string,
    controllerId: string,
    stored: Awaited<ReturnType<LaundryStore['load']>>,
  ) {
    const chain = createChain(storeId, controllerId, stored, {
      store,
      clock,
      settings,
      listeningSince,
      committed(effects, { event, deadLetters }, state) {
        countTally(counters, effects.tally);
        if (effects.liveness === 'online') counters.cameOnline += 1;
        if (effects.liveness === 'offline') counters.wentOffline += 1;
        if (effects.liveness !== undefined) tell('liveness', state);
        for (const change of effects.changes) tell('change', change);
        if (event.type === 'message') {
          counters.messages += 1;
          const { message, receivedAt } = event;
          if (!isStale(message, effects)) tell('snapshot', { message, receivedAt, tally: effects.tally });
        }
        tellRefused(deadLetters);
      },
    });
    chains.set(`${storeId}/${controllerId}`, chain);
    return chain;
  }

  const isStale = ({ machines }: MachineStateMessage, { tally }: Effects) =>
    machines.length > 0 && tally.stale === machines.length;

  function tellRefused(letters: readonly DeadLetter[]): void {
    for (const letter of letters) {
      countRefused(counters, letter.code);
      tell('refused', letter);
    }
  }

  function lookForSilence(now: number): number {
    let earliest = Infinity;
    for (const chain of chains.values()) {
      if (deadlineOf(chain.state, settings) <= now) {
        const event = { type: 'deadline' } as const;
        chain.submit({ event, deadLetters: NO_LETTERS }).then(
          // It may have spoken to another gateway.
          () => silence.expect(deadlineOf(chain.state, settings)),
          (error: unknown) => {
            log.warn(`laundry: a controller's silence could not be stored: ${asError(error).message}`);
          },
        );
      }
      earliest = Math.min(earliest, deadlineOf(chain.state, settings));
    }
    return earliest;
  }

  async function refuse(arrival: Arrival, letters: readonly DeadLetter[]): Promise<void> {
    await store.refuse(letters, {
      direction: 'in',
      topic: arrival.topic,
      outcome: letters.length > 0 ? 'refused' : 'duplicate',
      correlationId: null,
      at: arrival.receivedAt,
    });
    tellRefused(letters);
  }

  async function accept(
    arrival: Arrival,
    message: MachineStateMessage,
    refused: number,
    deadLetters: readonly DeadLetter[],
  ): Promise<void> {
    const { storeId, controllerId } = message;
    const chain = chains.get(`${storeId}/${controllerId}`) ?? addChain(storeId, controllerId, undefined);
    const stored = chain.submit({
      event: { type: 'message', message, receivedAt: arrival.receivedAt },
      deadLetters,
      describe: (effects) => describe(arrival, message, outcomeOf(effects.tally, refused)),
    });
    silence.expect(deadlineOf(chain.state, settings));
    await stored;
  }

  function judge(arrival: Arrival, parsed: Parsed, letters: readonly DeadLetter[]): Promise<void> {
    const { message, refusals } = parsed;
    if (message === undefined || (message.machines.length === 0 && refusals.length > 0)) {
      return refuse(arrival, letters);
    }
    return accept(arrival, message, refusals.length, letters);
  }

  /** The dead letters of a message, unless it is one that was refused before its acknowledgement got lost. */
  async function newLetters(arrival: Arrival, refusals: readonly Refusal[]): Promise<readonly DeadLetter[]> {
    const letters = refusedLetters(arrival, refusals);
    const [first] = letters;
    if (first === undefined || arrival.resumedAt === undefined) return letters;
    return (await isRepeated(first, arrival.resumedAt)) ? NO_LETTERS : letters;
  }

  function take(arrival: Arrival): Promise<void> {
    const parameters = topic.match(arrival.topic);
    const parsed =
      parameters === undefined
        ? foreignTopic(arrival.topic, topic.template)
        : parse(parameters, arrival.payload, clock.now());
    if (turns.isFree(arrival.topic) && !(parsed instanceof Promise)) {
      const { refusals } = parsed;
      if (refusals.length === 0) return judge(arrival, parsed, NO_LETTERS);
      if (arrival.resumedAt === undefined) return judge(arrival, parsed, refusedLetters(arrival, refusals));
    }
    return takeInTurn(arrival, parsed);
  }

  async function takeInTurn(arrival: Arrival, parsed: Parsed | Promise<Parsed>): Promise<void> {
    const prepare = async () => {
      const content = await parsed;
      return { content, letters: await newLetters(arrival, content.refusals) };
    };
    const { content, letters } = await turns.wait(arrival.topic, prepare());
    await judge(arrival, content, letters);
  }

  async function load(): Promise<void> {
    const found = await whenPossible(() => store.loadAll(), {
      what: 'laundry: the stored controllers',
      clock,
      log,
      closed: () => closed,
    });
    listeningSince = clock.now();
    for (const stored of found) {
      const { storeId, controllerId } = stored.controller;
      const chain = addChain(storeId, controllerId, stored);
      silence.expect(deadlineOf(chain.state, settings));
    }
    loaded = true;
  }

  function start(): Promise<void> {
    ready ??= load();
    return ready;
  }

  function finished(): void {
    onTheWay -= 1;
    if (onTheWay === 0) idle?.();
  }

  return {
    filter: topic.filter,
    counters,
    count() {
      let online = 0;
      for (const { state } of chains.values()) if (state.online) online += 1;
      return { known: chains.size, online };
    },
    start,
    handle(arrival) {
      if (closed) return Promise.reject(new FieldloomError('link_closed', 'the laundry backend is closed'));
      onTheWay += 1;
      const handled = loaded ? take(arrival) : start().then(() => take(arrival));
      handled.then(finished, finished);
      return handled;
    },
    async replay(letter) {
      await start();
      const parameters = topic.match(letter.topic);
      const { message, refusals } =
        parameters === undefined
          ? foreignTopic(letter.topic, topic.template)
          : await parse(parameters, letter.payload, clock.now());
      if (message === undefined) return { accepted: 0, refusals };
      const { storeId, controllerId } = message;
      const chain = chains.get(`${storeId}/${controllerId}`) ?? addChain(storeId, controllerId, undefined);
      let accepted = 0;
      await chain.submit({
        event: { type: 'message', message, receivedAt: letter.receivedAt, replayed: true },
        deadLetters: NO_LETTERS,
        describe(effects) {
          accepted = effects.records.length;
          return describe(letter, message, 'replayed');
        },
      });
      return { accepted, refusals };
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      closed = true;
      silence.stop();
      if (onTheWay > 0) {
        await new Promise<void>((resolve) => {
          idle = resolve;
        });
      }
    },
  };
}

const NO_LETTERS: readonly DeadLetter[] = [];

const describe = (arrival: Arrival, message: MachineStateMessage, outcome: string): MessageRecord => ({
  direction: 'in',
  topic: arrival.topic,
  outcome,
  correlationId: message.correlationId,
  at: arrival.receivedAt,
});

const foreignTopic = (topic: string, template: string): Parsed => ({
  message: undefined,
  refusals: [
    {
      code: 'invalid_topic',
      message: `topic ${JSON.stringify(topic.slice(0, 256))} is not of the form ${template}`,
    },
  ],
});
