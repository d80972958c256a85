import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { generate, parser } from 'mqtt-packet';
import { createBroker } from '../lib/mqtt/embedded-broker.js';
import { sessionStore } from '../lib/mqtt/session-store.js';
import { openStore } from '../lib/store/open.js';

/**
 * The embedded broker under QoS 1 load: its handlers wait for a promise that many messages share, as a group commit
 * does, against the same broker that takes the messages and drops them. Publishers run in a thread of their own.
 */
const PUBLISHERS = 50;
const WINDOW = 50;
const MESSAGES = 100_000;
const ROUNDS = 3;

/** Many callers, one promise a turn of the event loop. */
function batch(): () => Promise<void> {
  let current: Promise<void> | undefined;
  return () => {
    current ??= new Promise((resolve) =>
      setImmediate(() => {
        current = undefined;
        resolve();
      }),
    );
    return current;
  };
}

async function measure(handler: (() => Promise<void>) | undefined): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'fieldloom-bench-'));
  const store = await openStore(`sqlite:${join(folder, 'bench.db')}`);
  const broker = await createBroker({
    listeners: [{ kind: 'mqtt', host: '127.0.0.1', port: 0 }],
    sessions: sessionStore(store),
    authority: {
      authenticate: async ({ username = '' }) => ({ role: 'service', username }),
      mayPublish: () => true,
      maySubscribe: () => true,
      onRevoked: () => () => {},
    },
  });
  if (handler !== undefined)
    await broker.link().subscribe('company/+/machine/+/telemetry', { qos: 1 }, handler);
  const worker = new Worker(__filename, { workerData: { port: broker.listeners[0]?.port } });
  const [seconds] = (await once(worker, 'message')) as [number];
  await worker.terminate();
  await broker.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
  return MESSAGES / seconds;
}

async function publishAll(port: number): Promise<void> {
  const each = MESSAGES / PUBLISHERS;
  const payload = JSON.stringify({
    battery: 12.6,
    solar_v: 18.2,
    solar_a: 3.1,
    water: 0.4,
    extra: { rpm: 1200 },
  });
  const publisher = async (index: number): Promise<{ socket: Socket; run(): Promise<void> }> => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    const packets = parser();
    socket.on('data', (chunk) => packets.parse(chunk));
    const login = `machine-${index}`;
    const connack = once(packets, 'packet');
    socket.write(
      generate({
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: 4,
        clientId: login,
        clean: true,
        keepalive: 0,
        username: login,
        password: Buffer.from('x'),
      }),
    );
    await connack;
    const topic = `company/1/machine/${index}/telemetry`;
    const packet = (count: number) =>
      generate({
        cmd: 'publish',
        topic,
        payload,
        qos: 1,
        retain: false,
        dup: false,
        messageId: (count % 65_535) + 1,
      });
    return {
      socket,
      run: () =>
        new Promise((resolve) => {
          let sent = 0;
          let acknowledged = 0;
          const send = (count: number) => {
            const batch: Buffer[] = [];
            for (let left = Math.min(count, each - sent); left > 0; left -= 1) batch.push(packet(sent++));
            if (batch.length > 0) socket.write(Buffer.concat(batch));
          };
          let freed = 0;
          packets.on('packet', () => {
            acknowledged += 1;
            freed += 1;
            if (freed === 1) {
              queueMicrotask(() => {
                send(freed);
                freed = 0;
              });
            }
            if (acknowledged === each) resolve();
          });
          send(WINDOW);
        }),
    };
  };
  const publishers = await Promise.all(Array.from({ length: PUBLISHERS }, (_, index) => publisher(index)));
  const start = performance.now();
  await Promise.all(publishers.map(({ run }) => run()));
  parentPort?.postMessage((performance.now() - start) / 1000);
  for (const { socket } of publishers) socket.destroy();
}

async function main(): Promise<void> {
  const best = { dropping: 0, handling: 0 };
  for (let round = 0; round < ROUNDS; round += 1) {
    best.dropping = Math.max(best.dropping, await measure(undefined));
    best.handling = Math.max(best.handling, await measure(batch()));
  }
  const ratio = best.handling / best.dropping;
  console.log(`taking and dropping  ${Math.round(best.dropping)} messages/s`);
  console.log(`waiting for handlers ${Math.round(best.handling)} messages/s`);
  console.log(`ratio                ${ratio.toFixed(2)}`);
}

if (isMainThread) void main();
else void publishAll((workerData as { port: number }).port);
