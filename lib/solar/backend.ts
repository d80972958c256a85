import type { Timer } from '../core/clock.js';
import type { DeadLetter } from '../core/dead-letter.js';
import type { Refusal } from '../core/envelope.js';
import { asError, FieldloomError } from '../core/errors.js';
import { LIVENESS } from '../core/liveness.js';
import { createRedelivery } from '../core/redelivery.js';
import { createSequence } from '../core/sequence.js';
import { watchSilence } from '../core/silence.js';
import { patientReader, whenPossible } from '../core/when-possible.js';
import type { SolarArrival, SolarBackend, SolarBackendOptions, SolarListener } from './backend-ports.js';
import { parseStatus, parseTelemetry, readTopic, type SolarMessageKind, solarTopics } from './codec.js';
import { newSolarCounters } from './counters.js';
import { adopt, happen, type Machine, newMachine, recordOf, rowsEnded, takeUp } from './machines.js';
import type { MachineIds } from './ports.js';
import { createRollups } from './rollups.js';
import { beat, deadlineOf, type MachineEvent } from './state.js';
import { createTelemetryIntake } from './telemetry.js';

interface Route {
  machine: Machine;
  kind: SolarMessageKind;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** When machines were last heard is written so often, ms. */
const SEEN_MS = 60_000;
/** Topics come from outside: no more of them are remembered. */
const MOST_ROUTES = 100_000;

const keyOf = ({ companyId, machineId }: MachineIds) => `${companyId}/${machineId}`;

/** The gateway's side of the solar protocol (protocols.md "Solar"). */
export function createSolarBackend(options: SolarBackendOptions): SolarBackend {
  const { store, clock, log, elsewhere, settings: given = {} } = options;
  const settings = { ...LIVENESS, rawMs: 90 * DAY_MS, ...given };
  const topics = solarTopics(settings.prefix);
  const machines = new Map<string, Machine>();
  const routes = new Map<string, Route>();
  const listeners = new Set<SolarListener>();
  const counters = newSolarCounters();
  const sequence = createSequence();
  const silence = watchSilence(clock, lookForDeadlines);
  const patiently = patientReader(clock, () => closed);
  const isRepeatedLetter = createRedelivery(store, patiently);
  const rollups = createRollups({ store, clock, log });
  const closedError = () => new FieldloomError('link_closed', 'the solar backend is closed');
  let listeningSince = 0;
  let ready: Promise<void> | undefined;
  let loaded = false;
  let closed = false;
  let seenTimer: Timer | undefined;
  /** Those who want to hear of every message: nobody else costs anything there. */
  let wantArrived: SolarListener[] = [];
  let wantTelemetry: SolarListener[] = [];
  const telemetry = createTelemetryIntake({
    store,
    clock,
    counters,
    elsewhere,
    patiently,
    prepare,
    hear(machine, receivedAt, periodic) {
      hear(machine, receivedAt, periodic);
      if (machine.state.presence !== 'online' || machine.statusUnderWay > 0)
        sayTelemetry(machine, receivedAt);
    },
    arrived(machine, row) {
      if (wantArrived.length > 0) tell(wantArrived, (listener) => listener.arrived?.(machine, row));
    },
    kept(machine, row) {
      rollups.expect(machine.number, row.at);
      if (wantTelemetry.length > 0) tell(wantTelemetry, (listener) => listener.telemetry?.(machine, row));
    },
  });

  function tell(to: Iterable<SolarListener>, call: (listener: SolarListener) => void): void {
    for (const listener of to) {
      try {
        call(listener);
      } catch (error) {
        log.error(`solar: a listener failed: ${asError(error).message}`);
      }
    }
  }

  function routeOf(topic: string): Route {
    const known = routes.get(topic);
    if (known !== undefined) return known;
    const { kind, companyId, machineId } = readTopic(topics, topic);
    const route = { kind, machine: machineOf({ companyId, machineId }) };
    if (routes.size >= MOST_ROUTES) routes.clear();
    routes.set(topic, route);
    return route;
  }

  function machineOf(ids: MachineIds): Machine {
    const key = keyOf(ids);
    let machine = machines.get(key);
    if (machine === undefined) {
      machine = newMachine(ids, settings.intervalMs);
      machines.set(key, machine);
      prepare(machine, () => register(ids));
    }
    return machine;
  }

  /** What comes meanwhile waits, in its order. */
  function prepare(machine: Machine, work: () => Promise<void>): void {
    const before = machine.preparing ?? Promise.resolve();
    const mine = before.then(work).finally(() => {
      if (machine.preparing === mine) machine.preparing = undefined;
    });
    mine.catch(() => {}); // whoever waits for it hears of it
    machine.preparing = mine;
  }

  async function register(ids: MachineIds): Promise<void> {
    const machine = machines.get(keyOf(ids));
    if (machine === undefined || machine.number !== 0) return;
    try {
      const record = await patiently(() => store.register(ids, clock.now(), settings.intervalMs));
      adopt(machine, record, listeningSince);
    } catch (error) {
      forget(ids);
      throw error;
    }
  }

  /** The next message tries again. */
  function forget(ids: MachineIds): void {
    machines.delete(keyOf(ids));
    for (const [topic, { machine }] of routes) if (keyOf(machine) === keyOf(ids)) routes.delete(topic);
  }

  function hear(machine: Machine, receivedAt: number, periodic: boolean): void {
    if (beat(machine.pulse, receivedAt, periodic, settings)) {
      silence.expect(deadlineOf(machine.state, machine.pulse, settings));
    }
  }

  function sayTelemetry(machine: Machine, receivedAt: number): void {
    takeEvent(machine, { type: 'telemetry', receivedAt }).catch((error: unknown) => {
      if (!closed) log.warn(`solar: that a machine is back could not be stored: ${asError(error).message}`);
    });
  }

  function takeEvent(machine: Machine, event: MachineEvent): Promise<void> {
    machine.statusUnderWay += 1;
    return sequence
      .run(keyOf(machine), async () => {
        if (machine.preparing !== undefined) await machine.preparing;
        const { stored, change } = await happen(store, clock, machine, event);
        silence.expect(deadlineOf(machine.state, machine.pulse, settings));
        if (!stored || (machine.state.presence === 'leaving' && change === undefined)) return;
        if (change !== undefined) counters.statusChanges += 1;
        if (change?.restarted) counters.restarts += 1;
        if (change === undefined && event.type !== 'status') return;
        const record = recordOf(machine);
        tell(listeners, (listener) => listener.status?.(record, change));
      })
      .finally(() => {
        machine.statusUnderWay -= 1;
      });
  }

  function takeStatus(machine: Machine, arrival: SolarArrival): Promise<void> {
    const { receivedAt, retain: past = false } = arrival;
    let reported: ReturnType<typeof parseStatus>;
    try {
      reported = parseStatus(arrival.payload, clock.now());
    } catch (error) {
      if (elsewhere?.keepsRefused() === false) return Promise.resolve();
      throw error;
    }
    if (!past) hear(machine, receivedAt, false);
    counters.status += 1;
    return takeEvent(machine, { type: 'status', reported, receivedAt, past });
  }

  async function refuse(arrival: SolarArrival, refusal: Refusal): Promise<void> {
    const { topic, payload, receivedAt } = arrival;
    const resumedAt = arrival.retain ? receivedAt : arrival.resumedAt;
    const letter: DeadLetter = { protocol: 'solar', topic, payload, receivedAt, ...refusal };
    if (resumedAt !== undefined && (await isRepeatedLetter(letter, resumedAt))) {
      counters.duplicates += 1;
      return;
    }
    await store.refuse([letter]);
    counters.refused[refusal.code] = (counters.refused[refusal.code] ?? 0) + 1;
    tell(listeners, (listener) => listener.refused?.(letter));
  }

  /** @throws FieldloomError as a dead letter says it, at once; all else by the promise */
  function read(arrival: SolarArrival): Promise<void> {
    const { machine, kind } = routeOf(arrival.topic);
    if (kind === 'status') return takeStatus(machine, arrival);
    const now = clock.now();
    const append = parseTelemetry(arrival.payload, arrival.receivedAt, now, now - settings.rawMs + OLDEST_MS);
    return telemetry.take(machine, arrival, append);
  }

  function take(arrival: SolarArrival): Promise<void> {
    try {
      return read(arrival);
    } catch (error) {
      const refusal = refusalOf(error);
      return sequence.run(`refused ${arrival.topic}`, () => refuse(arrival, refusal));
    }
  }

  /** Unless it speaks to another gateway. */
  async function takeSilence(machine: Machine): Promise<void> {
    const { pulse } = machine;
    const lastSeen = (await elsewhere?.lastHeard(machine)) ?? pulse.lastSeen;
    if (lastSeen <= pulse.lastSeen) return takeEvent(machine, { type: 'silence', lastSeen });
    hear(machine, lastSeen, false);
    silence.expect(deadlineOf(machine.state, pulse, settings));
  }

  /** Those that another gateway takes for silent, and that this one hears. */
  async function correctPresence(): Promise<void> {
    for (const { newestAt: _, ...record } of await store.loadAll()) {
      const machine = machines.get(keyOf(record));
      if (machine === undefined || machine.statusUnderWay > 0 || record.presence !== 'stale') continue;
      const { lastSeen } = machine.pulse;
      if (machine.state.presence === 'online' && lastSeen > record.since) {
        takeUp(machine, record);
        sayTelemetry(machine, lastSeen);
      }
    }
  }

  function lookForDeadlines(now: number): number {
    let earliest = Infinity;
    for (const machine of machines.values()) {
      const { state, pulse } = machine;
      const deadline = deadlineOf(state, pulse, settings);
      if (deadline > now) earliest = Math.min(earliest, deadline);
      else if (machine.statusUnderWay === 0) {
        const done =
          state.presence === 'leaving' ? takeEvent(machine, { type: 'left' }) : takeSilence(machine);
        done.catch((error: unknown) => {
          if (!closed)
            log.warn(`solar: that a machine is away could not be stored: ${asError(error).message}`);
        });
      }
    }
    return earliest;
  }

  async function saveSeen(): Promise<void> {
    const moved = [...machines.values()].filter(
      ({ number, pulse, savedSeen }) => number !== 0 && pulse.lastSeen > savedSeen,
    );
    if (moved.length === 0) return;
    if (elsewhere !== undefined) await correctPresence();
    const seen = moved.map(({ number, pulse }) => ({
      number,
      lastSeen: pulse.lastSeen,
      intervalMs: pulse.rhythm.intervalMs,
    }));
    await store.saveSeen(seen);
    for (const [index, machine] of moved.entries()) machine.savedSeen = seen[index]?.lastSeen ?? 0;
  }

  function saveSeenLater(): void {
    seenTimer = clock.setTimer(() => {
      saveSeen()
        .catch((error: unknown) => {
          if (!closed) log.warn(`solar: when machines were heard waits: ${asError(error).message}`);
        })
        .finally(() => {
          if (!closed) saveSeenLater();
        });
    }, SEEN_MS);
  }

  async function load(): Promise<void> {
    const found = await whenPossible(() => store.loadAll(), {
      what: 'solar: the stored machines',
      clock,
      log,
      closed: () => closed,
    });
    listeningSince = clock.now();
    for (const { newestAt, ...record } of found) {
      const machine = newMachine(record, record.intervalMs);
      const lastSeen = Math.max(record.lastSeen, Math.min(newestAt ?? 0, listeningSince));
      adopt(machine, { ...record, lastSeen }, listeningSince);
      machine.newestAt = newestAt;
      machines.set(keyOf(record), machine);
      if (newestAt !== undefined) rollups.expect(machine.number, newestAt);
      silence.expect(deadlineOf(machine.state, machine.pulse, settings));
    }
    loaded = true;
    if (!closed) saveSeenLater();
  }

  function start(): Promise<void> {
    ready ??= load();
    return ready;
  }

  function chooseListeners(): void {
    wantArrived = [...listeners].filter((listener) => listener.arrived !== undefined);
    wantTelemetry = [...listeners].filter((listener) => listener.telemetry !== undefined);
  }

  return {
    filters: { telemetry: topics.telemetry.filter, status: topics.status.filter },
    counters,
    count() {
      const counted = { known: 0, online: 0, stale: 0, offline: 0 };
      for (const { state } of machines.values()) {
        counted.known += 1;
        if (state.presence === 'stale' || state.presence === 'offline') counted[state.presence] += 1;
        else counted.online += 1;
      }
      return counted;
    },
    start,
    handle(arrival) {
      if (closed) return Promise.reject(closedError());
      return loaded ? take(arrival) : start().then(() => take(arrival));
    },
    async replay(letter) {
      await start();
      if (closed) throw closedError();
      const { topic, payload, receivedAt } = letter;
      let reading: Promise<void>;
      try {
        reading = read({ topic, payload, receivedAt, retain: true });
      } catch (error) {
        return { refusal: refusalOf(error) };
      }
      await reading;
      return { refusal: undefined };
    },
    machine(ids) {
      const machine = machines.get(keyOf(ids));
      if (machine === undefined || machine.number === 0) return undefined;
      return { ...recordOf(machine), latest: machine.latest };
    },
    machines(companyId) {
      return [...machines.values()]
        .filter(
          ({ number, companyId: its }) => number !== 0 && (companyId === undefined || its === companyId),
        )
        .map(recordOf);
    },
    listen(listener) {
      listeners.add(listener);
      chooseListeners();
      return () => {
        listeners.delete(listener);
        chooseListeners();
      };
    },
    rollUp: () => rollups.run(),
    async close() {
      closed = true;
      silence.stop();
      seenTimer?.cancel();
      await rollups.stop();
      for (const machine of machines.values()) {
        await machine.preparing?.catch(() => {});
        await rowsEnded(machine);
      }
      await sequence.idle();
      await saveSeen().catch(() => {}); // the rows tell it too
    },
  };
}

/** Times of measurement this close to the end of the rows' keeping are not believed: their rows might go meanwhile. */
const OLDEST_MS = 60 * 60 * 1000;

/** @throws what is no refusal */
function refusalOf(thrown: unknown): Refusal {
  if (!(thrown instanceof FieldloomError)) throw asError(thrown);
  const { code, message, pointer } = thrown;
  return pointer === undefined ? { code, message } : { code, message, pointer };
}
