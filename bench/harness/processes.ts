import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** What a measured process says of itself over the time since it was last asked. */
export interface ProcessStatistics {
  /** Event loop delay, 99th percentile, ms. */
  delayMs: number;
  /** Resident memory, bytes. */
  memory: number;
  /** CPU time used, ms. */
  cpuMs: number;
  /** CPU time used since the process began, ms. */
  cpuTotalMs: number;
  /** Wall time since last asked, ms. */
  wallMs: number;
  /** Messages counted by the process itself, where it counts. */
  count: number;
}

/** A child process that answers one question at a time over its IPC channel. */
export class Child {
  private constructor(readonly process: ChildProcess) {
    // Whatever becomes of the benchmark, what it measured does not go on.
    const end = () => process.kill('SIGKILL');
    global.process.once('exit', end);
    process.once('exit', () => global.process.removeListener('exit', end));
  }

  static async start(script: string, settings: unknown): Promise<Child> {
    const child = fork(join(__dirname, script), [JSON.stringify(settings)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const ready = once(child, 'message');
    const exit = once(child, 'exit').then(([code]) => {
      throw new Error(`${script} ended with ${code} before it was ready`);
    });
    await Promise.race([ready, exit]);
    exit.catch(() => {});
    return new Child(child);
  }

  async ask<T>(question: unknown): Promise<T> {
    const answer = once(this.process, 'message');
    this.process.send(question as object);
    return ((await answer) as [T])[0];
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null) return;
    const exit = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    const force = setTimeout(() => this.process.kill('SIGKILL'), 10_000);
    await exit;
    clearTimeout(force);
  }
}
