import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Below those that systems give to outgoing connections: none of these takes it while a process starts again. */
const FIRST = 10_000;
const COUNT = 20_000;

/** A port that was free a moment ago, for a process that must be told its port. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    const server = createServer().listen(port, '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

async function reachable(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  }).finally(() => socket.destroy());
}

/** Fulfils when another process listens on this port. */
export async function listening(port: number, withinMs = 20_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await reachable(port))) {
    if (Date.now() > deadline) throw new Error(`nobody listens on port ${port}`);
    await delay(25);
  }
}
