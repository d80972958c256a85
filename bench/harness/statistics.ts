import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { ProcessStatistics } from './processes.js';

/** Starts measuring this process; the answer gives the figures since the last call. */
export function measure(count: () => number): () => ProcessStatistics {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  let cpu = process.cpuUsage();
  let wall = performance.now();
  return () => {
    const used = process.cpuUsage(cpu);
    const total = process.cpuUsage();
    const now = performance.now();
    const statistics = {
      delayMs: delay.percentile(99) / 1e6,
      memory: process.memoryUsage.rss(),
      cpuMs: (used.user + used.system) / 1000,
      cpuTotalMs: (total.user + total.system) / 1000,
      wallMs: now - wall,
      count: count(),
    };
    delay.reset();
    cpu = process.cpuUsage();
    wall = now;
    return statistics;
  };
}

/** Answers the parent's questions with `answer`, after telling it that this process is ready. */
export function answerParent(answer: (question: string) => unknown): void {
  process.on('message', async (question) => process.send?.((await answer(String(question))) as object));
  process.on('SIGTERM', () => process.exit(0));
  process.send?.('ready');
}
