import { once } from 'node:events';
import { Agent, request } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { Gateway } from '../test/support/gateway.js';
import { percentile } from './harness/percentile.js';
import { printTable } from './harness/table.js';

export interface RoastLiveOptions {
  watchers: number;
  machines: number;
  seconds: number;
}

/** What is to be reached, ms, at the 99th percentile. */
const REACH_MS = 50;
const INTERVAL_MS = 100;
/** The case of the protocol's own document: 3 machines, a reading a second, 15 minutes. */
const READINGS = 3 * 15 * 60;
const POLLS = 200;

async function post(gateway: Gateway, path: string, body?: object): Promise<void> {
  const answer = await fetch(gateway.url + path, {
    method: 'POST',
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`POST ${path}: ${answer.status} ${await answer.text()}`);
}

async function open(gateway: Gateway, machine: string): Promise<WebSocket> {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws/live/${machine}`);
  await once(socket, 'open');
  return socket;
}

/** A machine that records. @returns when its clock was 0, epoch ms */
async function record(gateway: Gateway, id: string): Promise<number> {
  const config = { id, name: id, driver: 'simulator', sampling_interval_ms: INTERVAL_MS };
  await post(gateway, '/api/machines', config);
  await post(gateway, `/api/machines/${id}/connect`);
  const socket = await open(gateway, id);
  const recording = new Promise<void>((resolve) => {
    socket.on('message', (data) => {
      if (JSON.parse(data.toString()).state === 'recording') resolve();
    });
  });
  for (const action of ['start_monitoring', 'start_recording']) {
    socket.send(JSON.stringify({ type: 'command', action }));
  }
  await recording;
  socket.close();
  const { started_at } = await gateway.get<{ started_at: string }>(`/api/machines/${id}/session`);
  return Date.parse(started_at);
}

/** From the moment of a reading to its arrival at each watcher, ms. */
async function latencies(gateway: Gateway, options: RoastLiveOptions): Promise<number[]> {
  const begun: number[] = [];
  for (let machine = 0; machine < options.machines; machine += 1) {
    begun.push(await record(gateway, `m${machine}`));
  }
  const found: number[] = [];
  let measuring = false;
  const sockets: WebSocket[] = [];
  for (let watcher = 0; watcher < options.watchers; watcher += 1) {
    const machine = watcher % options.machines;
    const socket = await open(gateway, `m${machine}`);
    sockets.push(socket);
    socket.on('message', (data) => {
      const message = JSON.parse(data.toString());
      if (!measuring || message.type !== 'temperature') return;
      found.push(Date.now() - ((begun[machine] as number) + message.timestamp_ms));
    });
  }
  await delay(2_000);
  measuring = true;
  await delay(options.seconds * 1_000);
  for (const socket of sockets) socket.terminate();
  return found;
}

/** Bytes of one reading over the WebSocket, frame included. */
async function bytesLive(gateway: Gateway): Promise<{ frame: number; payload: number }> {
  const socket = await open(gateway, 'm0');
  const { _socket: raw } = socket as unknown as { _socket: Socket };
  await delay(1_000);
  const before = raw.bytesRead;
  let count = 0;
  let payload = 0;
  socket.on('message', (data) => {
    count += 1;
    payload += data.toString().length;
  });
  await delay(5_000);
  const frames = raw.bytesRead - before;
  socket.terminate();
  return { frame: frames / count, payload: payload / count };
}

/** Bytes of headers of one request and its answer, on a connection that is kept. */
async function bytesPolled(gateway: Gateway): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let raw: Socket | undefined;
  let bodies = 0;
  for (let poll = 0; poll < POLLS; poll += 1) {
    await new Promise<void>((resolve, reject) => {
      // What a browser sends with each request.
      const headers = {
        accept: 'application/json',
        'accept-encoding': 'gzip, deflate, br',
        'accept-language': 'en-US,en;q=0.9',
        'user-agent':
          'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36',
        referer: `${gateway.url}/dashboard/roast`,
      };
      request(`${gateway.url}/api/machines/m0`, { agent, headers }, (response) => {
        raw = response.socket;
        response.on('data', (chunk: Buffer) => {
          bodies += chunk.length;
        });
        response.on('end', resolve);
      })
        .on('error', reject)
        .end();
    });
  }
  const bytes = (raw?.bytesRead ?? 0) + (raw?.bytesWritten ?? 0) - bodies;
  agent.destroy();
  return bytes / POLLS;
}

/** How late readings are at many watchers, and what they cost on the wire against polling. */
export async function benchRoastLive(options: RoastLiveOptions): Promise<void> {
  const gateway = await Gateway.create();
  try {
    await gateway.start();
    const found = await latencies(gateway, options);
    console.log(
      `${options.machines} machines at ${1000 / INTERVAL_MS} readings a second, ${options.watchers} watchers, ` +
        `${found.length} arrivals in ${options.seconds} s\n`,
    );
    printTable(
      ['from the reading to a watcher', 'ms', 'to be reached'],
      [
        ['median', percentile(found, 0.5).toFixed(0), ''],
        ['99th percentile', percentile(found, 0.99).toFixed(0), `under ${REACH_MS}`],
        ['longest', Math.max(...found).toFixed(0), ''],
      ],
    );
    const live = await bytesLive(gateway);
    const polled = await bytesPolled(gateway);
    const kB = (bytes: number) => (bytes / 1000).toFixed(0);
    console.log(`\n3 machines, a reading a second, 15 minutes (${READINGS} readings)\n`);
    printTable(
      ['', 'data, KB', 'around it, KB'],
      [
        ['WebSocket', kB(live.payload * READINGS), kB((live.frame - live.payload) * READINGS)],
        ['polling', kB(live.payload * READINGS), kB(polled * READINGS)],
      ],
    );
  } finally {
    await gateway.remove();
  }
}
