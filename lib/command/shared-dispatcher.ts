import { asError, FieldloomError } from '../core/errors.js';
import type { Gateways } from '../core/gateways.js';
import { createOverheard } from '../core/overheard.js';
import type { Arrival } from './ack-intake.js';
import { newCounters } from './counters.js';
import {
  type CommandDispatcher,
  createDispatcher,
  type DispatcherLink,
  type DispatcherOptions,
} from './dispatcher.js';
import type { DispatcherListener } from './ports.js';

export interface SharedDispatcherOptions extends Omit<DispatcherOptions, 'shared'> {
  gateways: Gateways;
  /** The link, which sends nothing once `may` says no. */
  gate(may: () => boolean): DispatcherLink & { release(): void };
}

/** One run of the dispatcher, under one lease of this gateway. */
interface Run {
  lease: string;
  dispatcher: CommandDispatcher;
  link: { release(): void };
}

/**
 * The dispatcher of a node that runs in several gateways on one store. Each gateway drives the commands that it was
 * asked for, under `<node>@<lease>`; when its lease is over, those that have not ended are taken over by another one,
 * as after a restart. A gateway that lost its lease while it stood still finds their revisions changed: nothing that
 * it still does counts, and its link is shut. Acknowledgements are heard by all; the gateway that drives the command
 * answers for them.
 */
export function createSharedDispatcher(options: SharedDispatcherOptions): CommandDispatcher {
  const { name: node, gateways, store, clock, log } = options;
  const overheard = createOverheard<Arrival>(clock);
  const listeners = new Set<DispatcherListener>();
  /** Of all runs. */
  const counters = newCounters();
  /** Dispatchers of ours and others that were there at the last look. */
  let seen = new Set<string>();
  let started: Promise<void> | undefined;
  let working: Promise<void> = Promise.resolve();
  /** There may be commands of gateways that are gone. */
  let orphans = true;
  let closed = false;

  const isNodes = (dispatcher: string) => dispatcher === node || dispatcher.startsWith(`${node}@`);
  const leaseOf = (dispatcher: string) => dispatcher.slice(node.length + 1);
  const isGone = (dispatcher: string) => dispatcher === node || !gateways.isLive(leaseOf(dispatcher));

  let run = begin();

  function begin(): Run {
    const { lease } = gateways;
    const name = `${node}@${lease}`;
    const link = options.gate(() => gateways.lease === lease && gateways.holds());
    const dispatcher = createDispatcher({
      ...{ ...options, name, link, counters },
      shared: {
        isNodes,
        answersFor(of) {
          if (of === name) return true;
          if (of === undefined) return gateways.isFirst();
          return isNodes(of) && isGone(of) && gateways.isFirst();
        },
        overheard: (arrival) => overheard.add(arrival),
      },
    });
    for (const listener of listeners) dispatcher.listen(listener);
    return { lease, dispatcher, link };
  }

  async function end({ dispatcher, link }: Run): Promise<void> {
    await dispatcher.close();
    link.release();
  }

  async function takeOver(): Promise<void> {
    const { dispatcher, lease } = run;
    const open = await store.openDispatchers(node);
    // A gateway that came in between is there before any command of it.
    await gateways.lookNow();
    const gone = open.filter(isGone);
    if (gone.length > 0) {
      await store.takeOver(gone, `${node}@${lease}`);
      await dispatcher.adopt();
    }
    for (const arrival of overheard.take()) await dispatcher.takeUp(arrival);
  }

  async function look(): Promise<void> {
    if (closed) return;
    if (run.lease !== gateways.lease) {
      const old = run;
      run = begin();
      orphans = true;
      await end(old);
    }
    // Whoever is without a broker could not go on with them.
    if (!gateways.holds() || !orphans || !run.dispatcher.connected) return;
    orphans = false;
    try {
      await takeOver();
    } catch (error) {
      orphans = true;
      if (!closed) log.warn(`commands: those of gateways that are gone wait: ${asError(error).message}`);
    }
  }

  function lookInTurn(): Promise<void> {
    const leases = new Set(gateways.live());
    if ([...seen].some((lease) => !leases.has(lease))) orphans = true;
    seen = leases;
    working = working.then(look);
    return working;
  }

  const stopLooking = gateways.onLook(() => {
    if (started !== undefined) void lookInTurn();
  });

  async function join(): Promise<void> {
    await Promise.race([gateways.joined, leaving]);
    checkOpen();
    await lookInTurn();
    await run.dispatcher.start();
  }

  let leave = () => {};
  const leaving = new Promise<void>((resolve) => {
    leave = resolve;
  });

  function start(): Promise<void> {
    started ??= join();
    return started;
  }

  function checkOpen(): void {
    if (closed) throw new FieldloomError('link_closed', 'the dispatcher is closed');
  }

  async function whenStarted<T>(work: (dispatcher: CommandDispatcher) => Promise<T>): Promise<T> {
    checkOpen();
    await start();
    return work(run.dispatcher);
  }

  return {
    get connected() {
      return run.dispatcher.connected;
    },
    filter: options.profile.ackFilter,
    counters,
    count: () => run.dispatcher.count(),
    start,
    submit: (request) => whenStarted((dispatcher) => dispatcher.submit(request)),
    cancel: (id) => whenStarted((dispatcher) => dispatcher.cancel(id)),
    outcome: (id, withinMs) => whenStarted((dispatcher) => dispatcher.outcome(id, withinMs)),
    handle: (arrival) => whenStarted((dispatcher) => dispatcher.handle(arrival)),
    takeUp: (arrival) => whenStarted((dispatcher) => dispatcher.takeUp(arrival)),
    adopt: () => whenStarted((dispatcher) => dispatcher.adopt()),
    replay: (letter) => whenStarted((dispatcher) => dispatcher.replay(letter)),
    listen(listener) {
      listeners.add(listener);
      let stop = run.dispatcher.listen(listener);
      const first = run;
      return () => {
        listeners.delete(listener);
        if (run === first) stop();
        stop = () => {};
      };
    },
    async close() {
      closed = true;
      leave();
      stopLooking();
      await working;
      await end(run);
    },
  };
}
