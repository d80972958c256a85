import type { Clock } from '../core/clock.js';
import type { DeadLetter } from '../core/dead-letter.js';
import { asError, FieldloomError } from '../core/errors.js';
import type { Message } from '../core/link.js';
import { LIVENESS, type LivenessSettings } from '../core/liveness.js';
import type { Log } from '../core/log.js';
import { type Comparable, createRedelivery, payloadDigest } from '../core/redelivery.js';
import { createSequence } from '../core/sequence.js';
import { watchSilence } from '../core/silence.js';
import { patientReader, whenPossible } from '../core/when-possible.js';
import { type AlertChange, NEVER_RAISED } from './alerts.js';
import type { DeviceStore, StoredAlert } from './device-ports.js';
import { countEvent, type DeviceCounters, newDeviceCounters } from './event-counters.js';
import {
  type DeviceEvent,
  type DeviceMessageKind,
  eventTopics,
  isDeviceId,
  parseEvent,
  type Refusal,
} from './events-codec.js';
import {
  type DeviceEffects,
  type DeviceState,
  type DeviceStateEvent,
  deadlineOf,
  deviceRecord,
  repetitionWindow,
} from './events-state.js';
import { createKnownDevices } from './known-devices.js';
import type { Alert, DeviceRecord } from './ports.js';

/** A message as it came from a link or a wire. */
export type DeviceArrival = Pick<Message, 'topic' | 'payload' | 'receivedAt' | 'resumedAt'> & {
  /** Default false. */
  retain?: boolean;
};

type EventOf<Kind extends DeviceMessageKind> = Extract<DeviceEvent, { kind: Kind }>;

export type DeviceChange = 'online' | 'offline' | 'started';

/** What is told when the rows are committed, once each, for each device in the order of its messages. */
export interface DeviceListener {
  reading?(reading: EventOf<'sensors'>): void;
  heartbeat?(heartbeat: EventOf<'heartbeat'>): void;
  /** It came, went, or has started. */
  device?(device: DeviceRecord, change: DeviceChange): void;
  startup?(startup: EventOf<'startup'>): void;
  alert?(alert: Alert, change: AlertChange): void;
  refused?(letter: DeadLetter): void;
}

export interface DeviceBackendOptions {
  store: DeviceStore;
  clock: Clock;
  log: Log;
  /** Of alerts: greater than every one before (lib/store/ids.ts). */
  newId(): string;
  settings?: Partial<LivenessSettings> & {
    /** Before the topics, for example `lms`. */
    prefix?: string;
  };
}

export interface DeviceBackend {
  /** MQTT filters of the topics to be handled. */
  readonly filters: readonly string[];
  readonly counters: DeviceCounters;
  /** Devices known, and how many of them are online. */
  count(): { known: number; online: number };
  /** Loads what is stored. Messages handled before that wait for it. */
  start(): Promise<void>;
  /**
   * Fulfils when the message is one committed row or dead letter: it is the MQTT acknowledgement.
   * @throws what the store rejects with; the message is then not acknowledged
   */
  handle(arrival: DeviceArrival): Promise<void>;
  /** Reads a dead letter again. It says nothing of whether the device is there, and makes no new dead letter. */
  replay(letter: DeadLetter): Promise<{ refusals: Refusal[] }>;
  /**
   * A person has seen the alert. The first acknowledgement stays.
   * @param by who, up to 255 characters
   * @throws FieldloomError not_found, invalid_input
   */
  acknowledge(alertId: string, by: string): Promise<Alert>;
  /** Calls back from now on; the answer removes the listener. */
  listen(listener: DeviceListener): () => void;
  /** Fulfils when nothing is on its way any more; what comes later is rejected. */
  close(): Promise<void>;
}

const BY_CHARACTERS = 255;

/**
 * The gateway's side of devices' own messages (protocols.md "Node device-events"). The messages of one device are
 * stored one after another, those of all devices together.
 */
export function createDeviceBackend(options: DeviceBackendOptions): DeviceBackend {
  const { store, clock, log, newId, settings: given = {} } = options;
  const settings = { ...LIVENESS, ...given };
  const topics = Object.entries(eventTopics(settings.prefix)).map(([kind, template]) => ({
    kind: kind as DeviceMessageKind,
    template,
  }));
  const devices = createKnownDevices({ store, clock, settings, committed });
  const listeners = new Set<DeviceListener>();
  const counters = newDeviceCounters();
  const sequence = createSequence();
  const silence = watchSilence(clock, lookForSilence);
  const patiently = patientReader(clock, () => closed);
  const isRepeatedLetter = createRedelivery(store, patiently);
  const earlierReadings = {
    async countEarlier({ topic, payload }: Comparable, resumedAt: number) {
      const device = placeOf(topic)?.device ?? '';
      const state = devices.get(device);
      if (state === undefined) return 0;
      const { from, to } = repetitionWindow(state, resumedAt);
      return store.countReadings(device, payloadDigest(payload), from, to);
    },
  };
  const isRepeatedReading = createRedelivery(earlierReadings, patiently);
  let ready: Promise<void> | undefined;
  let closed = false;

  function tell(call: (listener: DeviceListener) => void): void {
    for (const listener of listeners) {
      try {
        call(listener);
      } catch (error) {
        log.error(`devices: a listener failed: ${asError(error).message}`);
      }
    }
  }

  function placeOf(topic: string): { kind: DeviceMessageKind; device: string } | undefined {
    for (const { kind, template } of topics) {
      const device = template.match(topic)?.['device_id'];
      if (device !== undefined) return { kind, device };
    }
    return undefined;
  }

  function committed(state: DeviceState, event: DeviceStateEvent, effects: DeviceEffects): void {
    const { outcome, liveness, alert } = effects;
    countEvent(counters, event, effects);
    silence.expect(deadlineOf(state, settings));
    const record = deviceRecord(state);
    if (liveness !== undefined) tell((listener) => listener.device?.(record, liveness));
    if (event.type === 'message' && outcome === 'accepted') tellMessage(event.message, record);
    if (alert?.change !== undefined) {
      const { change } = alert;
      const seen = alertOf(alert.alert);
      tell((listener) => listener.alert?.(seen, change));
    }
  }

  function tellMessage(message: DeviceEvent, record: DeviceRecord): void {
    if (message.kind === 'sensors') tell((listener) => listener.reading?.(message));
    else if (message.kind === 'heartbeat') tell((listener) => listener.heartbeat?.(message));
    else if (message.kind === 'startup') {
      tell((listener) => listener.startup?.(message));
      tell((listener) => listener.device?.(record, 'started'));
    }
  }

  /** ingest.md "Same message twice" */
  async function isStored(message: DeviceEvent, arrival: DeviceArrival): Promise<boolean> {
    if (message.kind !== 'sensors') return false;
    // What the broker has retained is at each start the same.
    if (message.identified || arrival.retain) return store.hasReading(message.device, message.digest);
    return arrival.resumedAt !== undefined && (await isRepeatedReading(arrival, arrival.resumedAt));
  }

  function accept(message: DeviceEvent, arrival: DeviceArrival, past: boolean): Promise<unknown> {
    let repeated: boolean | undefined;
    const { resumedAt } = arrival;
    return devices.happen(
      message.device,
      async () => {
        // Asked again after a conflict, except what counts how often it was asked.
        if (repeated === undefined || message.identified) repeated = await isStored(message, arrival);
        return { type: 'message', message, resumedAt, repeated, past, newId };
      },
      arrival.topic,
    );
  }

  async function refuse(arrival: DeviceArrival, refusal: Refusal): Promise<void> {
    const { topic, payload, receivedAt } = arrival;
    const resumedAt = arrival.retain ? receivedAt : arrival.resumedAt;
    const letter: DeadLetter = { protocol: 'device', topic, payload, receivedAt, ...refusal };
    const repeated = resumedAt !== undefined && (await isRepeatedLetter(letter, resumedAt));
    const outcome = repeated ? 'duplicate' : 'refused';
    await store.refuse(repeated ? [] : [letter], { topic, outcome, at: receivedAt });
    if (repeated) {
      counters.duplicates += 1;
      return;
    }
    counters.refused[refusal.code] = (counters.refused[refusal.code] ?? 0) + 1;
    tell((listener) => listener.refused?.(letter));
  }

  function read({ topic, payload, receivedAt }: DeviceArrival) {
    const place = placeOf(topic);
    if (place === undefined || !isDeviceId(place.device)) {
      const forms = topics.map(({ template }) => template.template).join(', ');
      const message = `topic ${JSON.stringify(topic.slice(0, 256))} is none of ${forms}`;
      return { refusal: { code: 'invalid_topic' as const, message } };
    }
    return parseEvent(place.kind, place.device, payload, receivedAt, clock.now());
  }

  async function take(arrival: DeviceArrival): Promise<void> {
    const parsed = read(arrival);
    if ('refusal' in parsed) {
      await sequence.run(`refused ${arrival.topic}`, () => refuse(arrival, parsed.refusal));
      return;
    }
    const { event } = parsed;
    await sequence.run(event.device, () => accept(event, arrival, arrival.retain === true));
  }

  function lookForSilence(now: number): number {
    let earliest = Infinity;
    for (const state of devices.all()) {
      const { device } = state;
      const deadline = deadlineOf(state, settings);
      if (deadline > now) earliest = Math.min(earliest, deadline);
      else {
        sequence
          .run(device, () => devices.happen(device, async () => ({ type: 'deadline' })))
          .then(
            () => {
              // It may have spoken to another gateway.
              const now = devices.get(device);
              if (now !== undefined) silence.expect(deadlineOf(now, settings));
            },
            (error: unknown) => {
              log.warn(`devices: a device's silence could not be stored: ${asError(error).message}`);
            },
          );
      }
    }
    return earliest;
  }

  async function load(): Promise<void> {
    const found = await whenPossible(() => store.loadAll(), {
      what: 'devices: the stored devices',
      clock,
      log,
      closed: () => closed,
    });
    devices.begin(found);
    for (const state of devices.all()) silence.expect(deadlineOf(state, settings));
  }

  function start(): Promise<void> {
    ready ??= load();
    return ready;
  }

  async function whenOpen<T>(task: () => Promise<T>): Promise<T> {
    await start();
    if (closed) throw new FieldloomError('link_closed', 'the device backend is closed');
    return task();
  }

  return {
    filters: topics.map(({ template }) => template.filter),
    counters,
    count() {
      let online = 0;
      for (const state of devices.all()) if (state.online) online += 1;
      return { known: devices.size, online };
    },
    start,
    handle: (arrival) => whenOpen(() => take(arrival)),
    replay: (letter) =>
      whenOpen(async () => {
        const parsed = read(letter);
        if ('refusal' in parsed) return { refusals: [parsed.refusal] };
        const { event } = parsed;
        await sequence.run(event.device, () => accept(event, letter, true));
        return { refusals: [] };
      }),
    acknowledge: (alertId, by) =>
      whenOpen(async () => {
        const name = by.trim();
        if (name === '' || name.length > BY_CHARACTERS) {
          throw new FieldloomError(
            'invalid_input',
            `who acknowledges is ${JSON.stringify(by.slice(0, 64))}: accepted is a name of 1 to ${BY_CHARACTERS} characters`,
          );
        }
        const found = await store.loadAlert(alertId);
        if (found === undefined || found.raisedAt === NEVER_RAISED)
          throw new FieldloomError('not_found', `there is no alert ${alertId}`);
        return sequence.run(found.device, async () => {
          let alert = found;
          const { alert: changed } = await devices.happen(found.device, async () => {
            alert = (await store.loadAlert(alertId)) ?? found;
            return { type: 'acknowledge', alert, by: name };
          });
          return alertOf(changed?.alert ?? alert);
        });
      }),
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      closed = true;
      silence.stop();
      await sequence.idle();
    },
  };
}

/** Without what only the rules need. */
const alertOf = ({ saidAt: _, known: __, ...alert }: StoredAlert): Alert => alert;
