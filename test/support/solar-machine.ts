import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { FieldloomError } from '../../lib/core/errors.js';
import type { LinkState } from '../../lib/core/link.js';
import { silentLog } from '../../lib/core/log.js';
import { machineTopics } from '../../lib/solar/machine-codec.js';
import type { MachineEndSettings } from '../../lib/solar/machine-end.js';
import { createMachineEnd, type MachineEnd, type MachineLink } from '../../lib/solar/machine-end-runner.js';
import type { QueuedTelemetry, TelemetryQueue } from '../../lib/solar/machine-ports.js';
import { fakeClock } from './fake-clock.js';

export const MACHINE_TOPICS = machineTopics({ companyId: '1', machineId: 'A' });

/** Rows of one machine as the port promises them; `broken` rejects what is to be kept. */
export function modelTelemetryQueue() {
  const rows = new Map<string, QueuedTelemetry>();
  const disk = { rows, broken: false };
  const queue: TelemetryQueue = {
    all: async () => [...rows.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
    add: async (queued) => {
      if (disk.broken) throw new FieldloomError('store_unavailable', 'the disk is away');
      rows.set(queued.id, queued);
    },
    remove: async (id) => void rows.delete(id),
  };
  return Object.assign(disk, { queue });
}

export interface ModelPublish {
  kind: 'telemetry' | 'status';
  retain: boolean;
  message: Record<string, unknown>;
  payload: Buffer;
  acknowledge(): Promise<void>;
  refuse(): Promise<void>;
}

/** A link whose acknowledgements a test gives. */
export function modelMachineLink() {
  let state: LinkState = 'connected';
  const listeners = new Set<(state: LinkState) => void>();
  const publishes: ModelPublish[] = [];
  const link: MachineLink = {
    get state() {
      return state;
    },
    onState(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    publish(topic, payload, { qos, retain = false, wait }) {
      assert.deepEqual({ qos, wait }, { qos: 1, wait: false });
      if (state !== 'connected') return Promise.reject(new FieldloomError('not_connected', 'away'));
      return new Promise((resolve, reject) => {
        const bytes = Buffer.from(payload as string);
        publishes.push({
          kind: topic === MACHINE_TOPICS.status ? 'status' : 'telemetry',
          retain,
          message: JSON.parse(bytes.toString()) as Record<string, unknown>,
          payload: bytes,
          async acknowledge() {
            resolve();
            await setImmediate();
          },
          async refuse() {
            reject(new FieldloomError('publish_refused', 'not now'));
            await setImmediate();
          },
        });
      });
    },
  };
  return {
    link,
    publishes,
    async become(next: LinkState) {
      state = next;
      for (const listener of [...listeners]) listener(next);
      await setImmediate();
    },
    /** Acknowledges everything until nothing is sent any more. @returns what was sent */
    async acknowledgeAll() {
      await setImmediate();
      const sent: ModelPublish[] = [];
      for (let next = publishes.shift(); next !== undefined; next = publishes.shift()) {
        sent.push(next);
        await next.acknowledge();
      }
      return sent;
    },
  };
}

/** A machine at a model network, with a model disk. */
export async function solarSite(settings: Partial<MachineEndSettings> = {}, timestamps = true) {
  const clock = fakeClock();
  const disk = modelTelemetryQueue();
  const network = modelMachineLink();
  let alive = { now: true };
  let machine: MachineEnd;

  async function start() {
    const mine = { now: true };
    alive = mine;
    const never = new Promise<never>(() => {});
    const { queue } = disk;
    machine = createMachineEnd({
      topics: MACHINE_TOPICS,
      link: {
        get state() {
          return network.link.state;
        },
        onState: (listener) => network.link.onState((next) => mine.now && listener(next)),
        publish: (...publish) => (mine.now ? network.link.publish(...publish) : never),
      },
      queue: {
        all: () => queue.all(),
        add: (queued) => (mine.now ? queue.add(queued) : never),
        remove: (id) => (mine.now ? queue.remove(id) : never),
      },
      clock,
      log: silentLog,
      timestamps,
      settings,
    });
    await machine.start();
    await setImmediate();
  }
  await start();
  return {
    clock,
    disk,
    network,
    get machine() {
      return machine;
    },
    /** The process dies, with what it has in memory and on its way, and another one begins. */
    async kill() {
      alive.now = false;
      network.publishes.length = 0;
      await start();
    },
    async pass(ms: number) {
      clock.advance(ms);
      await setImmediate();
    },
  };
}
