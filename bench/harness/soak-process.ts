// The whole system in a process of its own that says, after a garbage collection, what it holds.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { memoryUsage } from 'node:process';
import RED from 'node-red';
import { startGateway } from '../../bin/gateway.js';
import { readSettings } from '../../bin/settings.js';
import { routes } from '../../nodes/runtime/http.js';

export interface Weight {
  /** Bytes: live objects of JavaScript, buffers outside of them, the process as the system sees it. */
  heap: number;
  external: number;
  resident: number;
  /** Open resources of Node.js by kind: sockets, servers, timers … */
  resources: Record<string, number>;
  /** Listeners of Node-RED's events and of the HTTP server, and REST routes. */
  listeners: number;
  /** Event loop delay since the last question, ms. */
  delayMs: { p50: number; p99: number; max: number };
}

const RESOLUTION_MS = 10;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

function weigh(): Weight {
  // What is recorded is the time between two ticks, which are due so many ms apart.
  const ms = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
  const delayMs = { p50: ms(delay.percentile(50)), p99: ms(delay.percentile(99)), max: ms(delay.max) };
  // Twice: what a first one finalizes, a second one frees. Both outside of the delay that is told.
  global.gc?.();
  global.gc?.();
  delay.reset();
  const { heapUsed, external, rss } = memoryUsage();
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  const emitters = [RED.events, RED.server as unknown as NodeJS.EventEmitter];
  const listeners = emitters.flatMap((emitter) =>
    emitter.eventNames().map((name) => emitter.listenerCount(name)),
  );
  return {
    ...{ heap: heapUsed, external, resident: rss, resources, delayMs },
    listeners: listeners.reduce((sum, count) => sum + count, routes(RED as never).size),
  };
}

async function main() {
  const gateway = await startGateway(readSettings(process.env));
  process.on('message', (message) => {
    if (message === 'weigh') process.send?.(weigh());
    else gateway.stop().then(() => process.exit(0));
  });
  delay.enable();
  process.send?.(await gateway.ready(30_000));
}

void main();
