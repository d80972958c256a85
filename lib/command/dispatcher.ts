import type { Clock } from '../core/clock.js';
import { createDeadlines } from '../core/deadlines.js';
import { asError, FieldloomError } from '../core/errors.js';
import type { Link } from '../core/link.js';
import type { Log } from '../core/log.js';
import { whenPossible } from '../core/when-possible.js';
import { type Arrival, createAckIntake, type SharedIntake } from './ack-intake.js';
import { COUNTER, type Counters, newCounters } from './counters.js';
import { createDeviceQueues } from './device-queues.js';
import { createDriver, type Driven, drawRevision, drivenOf } from './driver.js';
import { logExecution, logTransition } from './log-lines.js';
import { createdLine, executionOf, newCommand } from './new-command.js';
import type {
  CommandRecord,
  CommandRequest,
  CommandStore,
  CommandTerms,
  CommandTransition,
  Dispatcher,
  DispatcherListener,
  MqttMessageRecord,
} from './ports.js';
import type { Profile } from './profile.js';
import { createPublisher } from './publisher.js';
import { type CommandEvent, type Effect, notConnected, transition } from './transition.js';
import { createWaiters } from './waiters.js';

/** The part of a link that a dispatcher leans on. */
export type DispatcherLink = Pick<Link, 'state' | 'onState' | 'publish'>;

export interface DispatcherOptions {
  /** Its own: commands are stored under it, and a dispatcher of the same name goes on with them. */
  name: string;
  profile: Profile;
  store: CommandStore;
  link: DispatcherLink;
  clock: Clock;
  log: Log;
  settings?: Partial<DispatcherSettings>;
  /** With several gateways (shared-dispatcher.ts). */
  shared?: SharedIntake;
  counters?: Counters;
}

export interface DispatcherSettings extends Omit<CommandTerms, 'acknowledged'> {
  /** Commands of one device that may be on their way at once. */
  inFlight: number;
}

/** seed: pond-command-flow, "Timeout Handling"; protocols.md "Commands" */
export const DISPATCHER: DispatcherSettings = {
  ackTimeoutMs: 10_000,
  maxRetries: 3,
  executionTimeoutMs: 60_000,
  inFlight: 1,
};

export interface CommandDispatcher extends Dispatcher {
  /** MQTT filter of what is to be handled; undefined where devices do not acknowledge. */
  readonly filter: string | undefined;
  readonly counters: Counters;
  count(): { inFlight: number; waiting: number };
  /** Goes on with what is stored. What is asked before waits for it. */
  start(): Promise<void>;
  /**
   * Takes an acknowledgement. Fulfils when it is one committed row or dead letter: it is the MQTT acknowledgement.
   * @throws what the store rejects with; the message is then not acknowledged
   */
  handle(arrival: Arrival): Promise<void>;
  /** Takes an acknowledgement that was overheard. */
  takeUp(arrival: Arrival): Promise<void>;
  /** Goes on with commands that are stored under its name since it has started. */
  adopt(): Promise<void>;
  /** Takes a dead letter again. @returns why it is refused still; undefined where it counts now */
  replay(letter: Arrival): Promise<FieldloomError | undefined>;
}

/** How long `close` waits for the broker's word on what is on its way, ms. */
const GOODBYE_MS = 1_000;

/** Carries out what transition.ts says: it writes the store first, then publishes. */
export function createDispatcher(options: DispatcherOptions): CommandDispatcher {
  const { name, profile, store, link, clock, log, shared } = options;
  const settings = { ...DISPATCHER, ...options.settings };
  const counters = options.counters ?? newCounters();
  const commands = new Map<string, Driven>();
  const aside = new Set<Driven>();
  const listeners = new Set<DispatcherListener>();
  const waiters = createWaiters<Driven>(clock);
  let ready: Promise<void> | undefined;
  let closing = false;
  let wasConnected = link.state === 'connected';

  const isConnected = () => link.state === 'connected';
  const deadlines = createDeadlines<Driven>(clock, due);
  const queues = createDeviceQueues<Driven>({
    limit: settings.inFlight,
    isOpen: isConnected,
    start: takeTurn,
  });
  const driver = createDriver({ store, clock, log, stored, overtaken, idle });
  const publisher = createPublisher({ link, clock, happen: driver.happen, failed });
  const intake = createAckIntake({
    name,
    profile,
    store,
    clock,
    shared,
    find,
    happen: happenTo,
    refused(letter) {
      counters.refused[letter.code] = (counters.refused[letter.code] ?? 0) + 1;
      tell((listener) => listener.refused?.(letter));
    },
  });

  function tell(say: (listener: DispatcherListener) => void): void {
    for (const listener of listeners) {
      try {
        say(listener);
      } catch (error) {
        log.error(`commands: a listener failed: ${asError(error).message}`);
      }
    }
  }

  function failed(driven: Driven, error: unknown): void {
    if (!closing) log.error(`Command ${driven.record.id}: ${asError(error).message}`);
  }

  /** What happens by itself has nobody to answer to. */
  function happen(driven: Driven, event: CommandEvent): Promise<void> {
    return driver.happen(driven, event).catch((error: unknown) => failed(driven, error));
  }

  // ——— what the driver tells ———

  function stored(driven: Driven, before: CommandRecord, effects: readonly Effect[]): void {
    const { record } = driven;
    for (const effect of effects) {
      if (effect.type === 'count') counters[COUNTER[effect.what]] += 1;
      else if (effect.type === 'record') report(driven, effect.transition);
      else publisher.publish(driven, effect.attempt);
    }
    if (record.phase === 'ended' && before.phase !== 'ended') end(driven);
    else if (driven.ours && record.phase !== 'ended') schedule(driven);
  }

  function overtaken(driven: Driven): void {
    if (driven.record.dispatcher !== name) driven.ours = false;
    if (driven.record.phase === 'ended' || !driven.ours) release(driven);
    else schedule(driven);
  }

  function idle(driven: Driven): void {
    if (driven.record.phase === 'ended' || !driven.ours) {
      if (commands.get(driven.record.id) === driven) commands.delete(driven.record.id);
    }
  }

  function report(driven: Driven, line: CommandTransition): void {
    if (line.event === 'created' && driven.execution !== null) logExecution(log, driven.execution);
    logTransition(log, driven.record, line, driven.execution?.pondId ?? null);
    // A step may have several lines: each is told with the status that it speaks of.
    const { record } = driven;
    const told =
      record.status === line.status ? record : { ...record, status: line.status, reason: line.reason };
    tell((listener) => listener.changed?.(told, line));
    if (line.event === 'anomaly') tell((listener) => listener.anomaly?.(told, line));
  }

  function end(driven: Driven): void {
    const { record, begunAt } = driven;
    counters.ends[record.reason ?? 'completed'] += 1;
    if (record.status === 'COMPLETED' && begunAt !== null) {
      const ms = clock.now() - begunAt;
      tell((listener) => listener.roundTrip?.(record, ms));
    }
    release(driven);
  }

  function release(driven: Driven): void {
    deadlines.set(driven, null);
    aside.delete(driven);
    queues.remove(driven);
    waiters.ended(driven);
  }

  function schedule(driven: Driven): void {
    aside.delete(driven);
    deadlines.set(driven, driven.record.wakeAt);
  }

  // ——— sending ———

  function takeTurn(driven: Driven): void {
    // A new command is stored together with its first attempt; one that is still on its way there goes on afterwards.
    if (driven.record.revision === 0)
      driven.record = transition(driven.record, { type: 'turn' }, clock.now()).command;
    else void happen(driven, { type: 'turn' });
  }

  function due(driven: Driven): void {
    const { record } = driven;
    const held = record.phase === 'publishing' ? driven.underWay > 0 : record.phase === 'backoff';
    const away = held && !isConnected();
    const { expiresAt } = record;
    if (away && (expiresAt === null || expiresAt > clock.now())) {
      aside.add(driven);
      deadlines.set(driven, expiresAt);
      return;
    }
    void happen(driven, { type: 'due' }).then(() => {
      // A clock that was set back between the look and the step.
      if (driven.record === record && record.phase !== 'ended' && !closing) schedule(driven);
    });
  }

  const stopListening = link.onState(() => {
    const connected = isConnected();
    if (connected === wasConnected || closing) return;
    wasConnected = connected;
    if (!connected) return;
    for (const driven of [...aside]) {
      aside.delete(driven);
      void happen(driven, driven.record.phase === 'publishing' ? { type: 'connected' } : { type: 'due' });
    }
    queues.opened();
  });

  // ——— commands ———

  /** In memory, or from the store for as long as something happens to it. */
  async function find(id: string): Promise<Driven | undefined> {
    const known = commands.get(id);
    if (known !== undefined) return known;
    const record = await store.load(id);
    return commands.get(id) ?? (record && drivenOf(record, false));
  }

  /** One that came from the store is in memory while something happens to it, so that all of it is in order. */
  async function happenTo(
    found: Driven,
    event: CommandEvent,
    message?: MqttMessageRecord,
  ): Promise<CommandRecord> {
    const { id } = found.record;
    const driven = commands.get(id) ?? found;
    commands.set(id, driven);
    await driver.happen(driven, event, message);
    return driven.record;
  }

  async function readOpen(): Promise<CommandRecord[]> {
    // One gateway alone goes on with what several have left.
    if (shared === undefined) {
      const left = await store.openDispatchers(name);
      await store.takeOver(
        left.filter((each) => each !== name),
        name,
      );
    }
    return store.loadOpen(name);
  }

  async function load(): Promise<void> {
    const open = await whenPossible(readOpen, {
      what: 'commands: those that have not ended',
      clock,
      log,
      closed: () => closing,
    });
    open.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
    const queued: Driven[] = [];
    for (const record of open) {
      if (commands.get(record.id)?.ours === true) continue;
      const driven = drivenOf(record, true);
      commands.set(record.id, driven);
      schedule(driven);
      if (record.phase === 'queued') queued.push(driven);
      else queues.addInFlight(driven, record.device);
    }
    for (const driven of queued) queues.add(driven, driven.record.device, driven.record.priority);
  }

  function start(): Promise<void> {
    ready ??= load();
    return ready;
  }

  const { inFlight: _, ...terms } = settings;

  async function submit(request: CommandRequest): Promise<CommandRecord> {
    await start();
    checkOpen();
    const asked = newCommand(request, profile, { dispatcher: name, terms, now: clock.now() });
    if (commands.has(asked.id)) throw new FieldloomError('conflict', `command ${asked.id} is there already`);
    const driven = drivenOf(asked, true);
    driven.execution = request.execution ?? null;
    const effects: Effect[] = [{ type: 'record', transition: createdLine(asked) }];
    if (!asked.waitsForBroker && !isConnected()) {
      const step = notConnected(asked, asked.createdAt);
      driven.record = step.command;
      effects.push(...step.effects);
    } else {
      commands.set(asked.id, driven);
      queues.add(driven, asked.device, asked.priority);
      const { phase, attempts } = driven.record;
      if (phase === 'publishing') effects.push({ type: 'publish', attempt: attempts });
    }
    const command = { ...driven.record, revision: drawRevision() };
    driven.record = command;
    const { execution, idempotency } = request;
    try {
      await driver.create(driven, asked, effects, {
        ...(execution && { execution: executionOf(execution, command) }),
        ...(idempotency && { idempotency }),
      });
    } catch (error) {
      commands.delete(asked.id);
      release(driven);
      throw error;
    }
    counters.submitted += 1;
    return command;
  }

  function checkOpen(): void {
    if (closing) throw new FieldloomError('link_closed', 'the dispatcher is closed');
  }

  async function cancel(id: string): Promise<CommandRecord> {
    await start();
    checkOpen();
    const driven = await find(id.toLowerCase());
    if (driven === undefined) throw new FieldloomError('not_found', `there is no command ${id}`);
    const hadEnded = driven.record.phase === 'ended';
    const record = hadEnded ? driven.record : await happenTo(driven, { type: 'cancel' });
    if (hadEnded || record.status !== 'CANCELLED') {
      throw new FieldloomError('conflict', `command ${id} has ended, it is ${record.status}`);
    }
    return record;
  }

  async function outcome(id: string, withinMs: number): Promise<CommandRecord> {
    await start();
    const found = await find(id.toLowerCase());
    if (found === undefined) throw new FieldloomError('not_found', `there is no command ${id}`);
    if (found.record.phase === 'ended' || withinMs <= 0 || closing) return found.record;
    await waiters.wait(found, withinMs);
    // What another gateway drives is seen in the store alone.
    return found.ours ? found.record : ((await store.load(found.record.id)) ?? found.record);
  }

  return {
    get connected() {
      return isConnected();
    },
    filter: profile.ackFilter,
    counters,
    count: () => ({ inFlight: queues.inFlight, waiting: queues.waiting }),
    start,
    submit,
    cancel,
    outcome,
    async handle(arrival) {
      checkOpen();
      await start();
      await intake.take(arrival);
    },
    async takeUp(arrival) {
      await start();
      await intake.takeUp(arrival);
    },
    async adopt() {
      await start();
      await load();
    },
    async replay(letter) {
      checkOpen();
      await start();
      return intake.replay(letter);
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      closing = true;
      deadlines.stop();
      stopListening();
      // What the link answers now is stored now, and not looked into again after the restart.
      if (isConnected()) await publisher.settled(GOODBYE_MS);
      await driver.close();
      waiters.close();
    },
  };
}
