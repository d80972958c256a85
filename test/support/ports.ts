import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** A port that was free a moment ago, for a process that must be told its port. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
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
