/**
 * What one message costs in the laundry's code alone: topic, parse, validate, transition, and the call of the store,
 * which takes everything at once here. `node dist/bench/laundry-parse.js [messages] [machines]`
 */
import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { systemClock } from '../lib/core/clock.js';
import { silentLog } from '../lib/core/log.js';
import { type Arrival, createBackend } from '../lib/laundry/backend.js';
import { format } from '../lib/laundry/codec.js';
import type { LaundryStore } from '../lib/laundry/ports.js';

const CONTROLLERS = 1000;
const IN_FLIGHT = 1000;
const WARM_UP = 20_000;

const total = Number(process.argv[2] ?? 100_000);
const machines = Number(process.argv[3] ?? 4);

const accepting: LaundryStore = {
  loadAll: async () => [],
  load: async () => undefined,
  save: async () => {},
  refuse: async () => {},
  countEarlier: async () => 0,
};

/** Each controller's messages in order; `changing`: each says something new of every machine. */
function messages(changing: boolean, count: number): Arrival[] {
  const storeId = randomUUID();
  const controllers = Array.from({ length: CONTROLLERS }, () => randomUUID());
  const start = Date.now() - 3600_000;
  return Array.from({ length: count }, (_, index) => {
    const controllerId = controllers[index % CONTROLLERS] as string;
    const round = Math.floor(index / CONTROLLERS);
    const payload = format({
      storeId,
      controllerId,
      version: '1.0.0',
      correlationId: randomUUID(),
      timestamp: start + index,
      machines: Array.from({ length: machines }, (_, relay) => ({
        relayId: relay + 1,
        machineType: relay % 2 ? ('washer' as const) : ('dryer' as const),
        status: changing && round % 2 ? ('busy' as const) : ('idle' as const),
        lastUpdated: changing ? start + index : start,
      })),
    });
    return {
      topic: `/stores/${storeId}/controllers/${controllerId}/metrics`,
      payload: Buffer.from(payload),
      receivedAt: start + index,
    };
  });
}

async function measure(name: string, arrivals: Arrival[]): Promise<void> {
  const backend = createBackend({ store: accepting, clock: systemClock, log: silentLog });
  await backend.start();
  const run = async (from: number, to: number) => {
    for (let sent = from; sent < to; sent += IN_FLIGHT) {
      const handled: Promise<void>[] = [];
      for (const arrival of arrivals.slice(sent, Math.min(sent + IN_FLIGHT, to)))
        handled.push(backend.handle(arrival));
      await Promise.all(handled);
    }
  };
  await run(0, WARM_UP);
  const before = process.cpuUsage();
  await run(WARM_UP, arrivals.length);
  const used = process.cpuUsage(before);
  const microseconds = (used.user + used.system) / total;
  await backend.close();
  const rate = Math.round(1e6 / microseconds).toLocaleString('en');
  process.stdout.write(
    `${name.padEnd(42)} ${microseconds.toFixed(1).padStart(7)} µs   ${rate.padStart(9)} a second\n`,
  );
}

async function main(): Promise<void> {
  const same = messages(false, WARM_UP + total);
  process.stdout.write(`${total} messages, ${machines} machines each, ${same[0]?.payload.length} bytes\n`);
  await measure('nothing has changed', same);
  await measure('every machine has changed', messages(true, WARM_UP + total));
  await measure(
    'nothing has changed, gzip',
    same.map((each) => ({ ...each, payload: gzipSync(each.payload) })),
  );
  await measure(
    'not JSON',
    same.map((each) => ({ ...each, payload: Buffer.from('hello') })),
  );
}

void main();
