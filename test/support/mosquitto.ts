import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, listening } from './ports.js';

export interface Mosquitto {
  url: string;
  /** Ends it as its operator does: what it keeps for others is on the disk. */
  down(): Promise<void>;
  up(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * A Mosquitto of our own, with queues wide enough that it never is what limits a candidate. Undefined where
 * Mosquitto is not installed.
 * @param access who may do what; by default everybody everything
 */
export async function startMosquitto(
  access: readonly string[] = ['allow_anonymous true'],
): Promise<Mosquitto | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'fieldloom-mosquitto-'));
  const port = await freePort();
  const file = join(directory, 'mosquitto.conf');
  await writeFile(
    file,
    [
      `listener ${port} 127.0.0.1`,
      'persistence true',
      `persistence_location ${directory}/`,
      'autosave_interval 0',
      ...(process.getuid?.() === 0 ? ['user root'] : []),
      'max_inflight_messages 1000',
      'max_queued_messages 0',
      'set_tcp_nodelay true',
      'log_type none',
      ...access,
    ].join('\n'),
  );
  let child: ChildProcess | undefined;
  const up = async () => {
    child = spawn('mosquitto', ['-c', file], {
      stdio: 'ignore',
      env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` },
    });
    const missing = await Promise.race([
      once(child, 'error').then(() => true),
      once(child, 'spawn').then(() => false),
    ]);
    if (!missing) await listening(port);
    return missing;
  };
  const down = async () => {
    if (child === undefined || child.exitCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    await exit;
  };
  if (await up()) return undefined;
  return {
    url: `mqtt://127.0.0.1:${port}`,
    down,
    async up() {
      await up();
    },
    async stop() {
      await down();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
