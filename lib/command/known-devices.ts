import type { Clock } from '../core/clock.js';
import { hasCode } from '../core/errors.js';
import type { LivenessSettings } from '../core/liveness.js';
import type { DeviceStore, LoadedDevice } from './device-ports.js';
import {
  type DeviceEffects,
  type DeviceState,
  type DeviceStateEvent,
  deviceRow,
  newDevice,
  storedDevice,
  transition,
} from './events-state.js';

export interface KnownDevicesOptions {
  store: Pick<DeviceStore, 'load' | 'save'>;
  clock: Clock;
  settings: LivenessSettings;
  /** Called once for an event, when its row is committed. */
  committed(state: DeviceState, event: DeviceStateEvent, effects: DeviceEffects): void;
}

/** The devices of a gateway, each as the store has it. */
export interface KnownDevices {
  /** Takes what was stored when this gateway began to listen. */
  begin(stored: readonly LoadedDevice[]): void;
  get(device: string): DeviceState | undefined;
  all(): Iterable<DeviceState>;
  readonly size: number;
  /**
   * One event of one device: judged, stored, then told. Events of a device come one after another. Another gateway may
   * make a write void: then the event is judged again by what is stored.
   * @param eventOf makes the event, anew for each time that it is judged
   * @param topic of the message, for the history
   * @throws what the store rejects with, other than store_conflict
   */
  happen(
    device: string,
    eventOf: (state: DeviceState) => Promise<DeviceStateEvent>,
    topic?: string,
  ): Promise<DeviceEffects>;
}

/** Any whole number that the databases keep exactly; 0 is kept for what is not stored. */
const drawRevision = () => 1 + Math.floor(Math.random() * (Number.MAX_SAFE_INTEGER - 1));

export function createKnownDevices({ store, clock, settings, committed }: KnownDevicesOptions): KnownDevices {
  const devices = new Map<string, { state: DeviceState; revision: number }>();
  /** Something of theirs could not be stored: they are loaded anew first. */
  const doubtful = new Set<string>();
  let listeningSince = 0;

  function remember(device: string, loaded: LoadedDevice | undefined) {
    const stored = loaded === undefined ? newDevice(device, settings) : storedDevice(loaded);
    const before = devices.get(device)?.state;
    // What no store keeps goes on: what its interval is learnt from, and the connection that it speaks on.
    const going = before && { pace: before.pace, connection: before.connection };
    const { state } = transition({ ...stored, ...going }, { type: 'restored' }, listeningSince, settings);
    const known = { state, revision: loaded?.device.revision ?? 0 };
    if (loaded !== undefined) devices.set(device, known);
    doubtful.delete(device);
    return known;
  }

  async function current(device: string) {
    if (doubtful.has(device)) return remember(device, await store.load(device));
    return devices.get(device) ?? remember(device, undefined);
  }

  /** @returns whether it is stored; false: it is to be judged again */
  async function save(
    event: DeviceStateEvent,
    { state, effects }: ReturnType<typeof transition>,
    [expectedRevision, revision]: [number, number],
    topic: string | undefined,
  ): Promise<boolean> {
    const { outcome, reading, latest, alert } = effects;
    const at = event.type === 'message' ? event.message.receivedAt : clock.now();
    try {
      await store.save({
        expectedRevision,
        device: deviceRow(state, revision),
        latest,
        ...(reading && { reading }),
        ...(alert && { alert: alert.alert }),
        ...(outcome && topic && { message: { topic, outcome, at } }),
      });
      return true;
    } catch (error) {
      doubtful.add(state.device);
      if (!hasCode(error, 'store_conflict')) throw error;
      // It may be stored all the same: the answer to a first try was lost.
      return (await current(state.device)).revision === revision;
    }
  }

  return {
    begin(stored) {
      listeningSince = clock.now();
      for (const loaded of stored) remember(loaded.device.device, loaded);
    },
    get: (device) => devices.get(device)?.state,
    *all() {
      for (const { state } of devices.values()) yield state;
    },
    get size() {
      return devices.size;
    },
    async happen(device, eventOf, topic) {
      for (;;) {
        const known = await current(device);
        const event = await eventOf(known.state);
        const result = transition(known.state, event, clock.now(), settings);
        const { state, effects } = result;
        const nothing = effects.alert === undefined && effects.liveness === undefined;
        if (event.type !== 'message' && nothing) return effects;
        const revision = drawRevision();
        if (!(await save(event, result, [known.revision, revision], topic))) continue;
        devices.set(device, { state, revision });
        committed(state, event, effects);
        return effects;
      }
    },
  };
}
