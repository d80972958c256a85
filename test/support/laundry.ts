import { setImmediate } from 'node:timers/promises';
import type { DeadLetter } from '../../lib/core/dead-letter.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { MachineReport, MachineStateMessage } from '../../lib/laundry/codec.js';
import { format } from '../../lib/laundry/codec.js';
import type {
  ControllerRecord,
  LaundryStore,
  LaundryWrite,
  LivenessChange,
  MachineRecord,
  MessageRecord,
  StateChange,
} from '../../lib/laundry/ports.js';
import { CONTROLLER_ID, METRICS_TOPIC, STORE_ID } from './seed.js';

/** 2024-01-15T16:00:00+07:00, the time of the sample message. */
export const SEED_TIME = Date.UTC(2024, 0, 15, 9, 0, 0);

export const report = (
  relayId: number,
  status: 'idle' | 'busy',
  lastUpdated: number,
  machineType: MachineReport['machineType'] = null,
): MachineReport => ({ relayId, status, lastUpdated, machineType });

/** A message of the sample's controller, as parsed. */
export function stateMessage(machines: MachineReport[], timestamp = SEED_TIME): MachineStateMessage {
  return {
    storeId: STORE_ID,
    controllerId: CONTROLLER_ID,
    version: '1.0.0',
    correlationId: null,
    timestamp,
    machines,
    original: {},
  };
}

/** The same as it comes from a link. */
export function arrival(machines: MachineReport[], timestamp = SEED_TIME, receivedAt = timestamp) {
  const payload = Buffer.from(format(stateMessage(machines, timestamp)));
  return { topic: METRICS_TOPIC, payload, receivedAt };
}

interface Unit {
  commit(): void;
  resolve(): void;
  reject(error: Error): void;
}

/** The laundry's rows as the port promises them; what is called waits until a test commits it. */
export interface ModelStore extends LaundryStore {
  readonly pending: number;
  readonly changes: StateChange[];
  readonly letters: DeadLetter[];
  readonly messages: MessageRecord[];
  readonly liveness: LivenessChange[];
  readonly machines: Map<number, MachineRecord>;
  readonly controller: ControllerRecord | undefined;
  /** Commits the oldest unit and waits until what follows from it has been done. */
  step(): Promise<void>;
  /** Commits until nothing waits. */
  settle(): Promise<void>;
  /** Fails the oldest unit. */
  fail(error: Error): Promise<void>;
  /** Commits the oldest unit, and answers as if it had met another write: its first answer was lost. */
  stepAnsweringConflict(): Promise<void>;
  /** Forgets the units that wait, as a kill does. */
  kill(): void;
}

/** Rows of the sample's controller alone: enough for every rule, which are all about one controller. */
export function modelStore(): ModelStore {
  let controller: ControllerRecord | undefined;
  const machines = new Map<number, MachineRecord>();
  const changes: StateChange[] = [];
  const letters: DeadLetter[] = [];
  const messages: MessageRecord[] = [];
  const liveness: LivenessChange[] = [];
  const units: Unit[] = [];

  const later = (commit: () => void) =>
    new Promise<void>((resolve, reject) => {
      units.push({ commit, resolve, reject });
    });
  const rows = () => controller && { controller, machines: [...machines.values()] };

  function write({ expectedRevision, controller: next, ...write }: LaundryWrite): void {
    if ((controller?.revision ?? 0) !== expectedRevision) {
      throw new FieldloomError('store_conflict', 'another revision is stored');
    }
    controller = next;
    for (const machine of write.machines) machines.set(machine.relayId, machine);
    changes.push(...write.changes);
    letters.push(...write.deadLetters);
    if (write.liveness !== undefined) liveness.push(write.liveness);
    if (write.message !== undefined) messages.push(write.message);
  }

  return {
    changes,
    letters,
    messages,
    liveness,
    machines,
    get pending() {
      return units.length;
    },
    get controller() {
      return controller;
    },
    countEarlier: async (letter, before) =>
      letters.filter(
        (kept) =>
          kept.topic === letter.topic &&
          kept.pointer === letter.pointer &&
          kept.payload.equals(letter.payload) &&
          kept.receivedAt < before,
      ).length,
    loadAll: async () => [rows() ?? []].flat(),
    load: async () => rows(),
    save: (unit) => later(() => write(unit)),
    refuse: (refused, message) =>
      later(() => {
        letters.push(...refused);
        if (message !== undefined) messages.push(message);
      }),
    async step() {
      const unit = units.shift();
      if (unit === undefined) return;
      try {
        unit.commit();
        unit.resolve();
      } catch (error) {
        unit.reject(error as Error);
      }
      await setImmediate();
    },
    async settle() {
      await setImmediate();
      while (units.length > 0) await this.step();
    },
    async fail(error) {
      units.shift()?.reject(error);
      await setImmediate();
    },
    async stepAnsweringConflict() {
      const unit = units.shift();
      try {
        unit?.commit();
      } finally {
        unit?.reject(new FieldloomError('store_conflict', 'the row is there already'));
        await setImmediate();
      }
    },
    kill() {
      units.length = 0;
    },
  };
}
