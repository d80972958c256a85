import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { generate, type Packet, parser } from 'mqtt-packet';
import type { MqttPrincipal } from '../../lib/access/principal.js';
import type { Log } from '../../lib/core/log.js';
import { filterMatches } from '../../lib/core/topic.js';
import type { Authority } from '../../lib/mqtt/authority.js';
import { type BrokerOptions, createBroker, type EmbeddedBroker } from '../../lib/mqtt/embedded-broker.js';
import { sessionStore } from '../../lib/mqtt/session-store.js';
import { openStore } from '../../lib/store/open.js';
import type { Store } from '../../lib/store/store.js';

export const DEADLINE_MS = 5000;

/** Fulfils when `condition` is true; looks again at each turn of the event loop. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + DEADLINE_MS;
  while (!condition()) {
    assert.ok(Date.now() < end, `not within ${DEADLINE_MS} ms: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export interface Deferred<T = void> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

export function deferred<T = void>(): Deferred<T> {
  const parts = {} as Deferred<T>;
  parts.promise = new Promise<T>((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}

export interface RecordedLog extends Log {
  lines: string[];
}

export function recordedLog(): RecordedLog {
  const lines: string[] = [];
  const write = (level: string) => (text: string) => void lines.push(`${level} ${text}`);
  return { lines, debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

export interface TestLogin {
  password: string;
  publish: string[];
  subscribe: string[];
}

export interface TestAuthority extends Authority {
  revoke(username: string): void;
}

/** Access rules given by the test: logins with the filters they may use. */
export function testAuthority(logins: Record<string, TestLogin>): TestAuthority {
  const listeners = new Set<(username: string) => void>();
  const login = (principal: MqttPrincipal) => logins[principal.username];
  return {
    async authenticate({ username, password }) {
      if (username === undefined || password?.toString() !== logins[username]?.password) return undefined;
      return { role: 'service', username };
    },
    mayPublish: (principal, topic) =>
      login(principal)?.publish.some((filter) => filterMatches(filter, topic)) === true,
    maySubscribe: (principal, filter) => login(principal)?.subscribe.includes(filter) === true,
    onRevoked(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    revoke(username) {
      for (const listener of listeners) listener(username);
    },
  };
}

export const LOGINS: Record<string, TestLogin> = {
  machine: {
    password: 'secret-m',
    publish: ['m/1/telemetry', 'm/1/status'],
    subscribe: ['m/1/command', 'm/1/#'],
  },
  other: { password: 'secret-o', publish: ['m/2/telemetry'], subscribe: ['m/2/command'] },
  service: {
    password: 'secret-s',
    publish: ['m/#', 'x/#'],
    subscribe: ['m/+/telemetry', 'm/+/status', 'm/#', '#', 'x/#'],
  },
};

export interface TestStore {
  store: Store;
  url: string;
  close(): Promise<void>;
}

export async function testStore(): Promise<TestStore> {
  const folder = await mkdtemp(join(tmpdir(), 'fieldloom-mqtt-'));
  const url = `sqlite:${join(folder, 'test.db')}`;
  const store = await openStore(url);
  return {
    store,
    url,
    async close() {
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function startBroker(
  store: Store,
  options: Partial<BrokerOptions> = {},
): Promise<EmbeddedBroker & { port: number }> {
  const broker = await createBroker({
    listeners: [{ kind: 'mqtt', host: '127.0.0.1', port: 0 }],
    authority: testAuthority(LOGINS),
    sessions: sessionStore(store),
    ...options,
  });
  return Object.assign(broker, { port: broker.listeners[0]?.port ?? 0 });
}

type Sent = Record<string, unknown> & { cmd: Packet['cmd'] };

/** A client that sends exactly what the test says, and shows exactly what comes back. */
export class RawClient {
  readonly received: Packet[] = [];
  readonly stream: Duplex;
  readonly closed: Promise<unknown>;
  #taken = 0;
  #wake = () => {};

  constructor(stream: Duplex) {
    this.stream = stream;
    const packets = parser({ protocolVersion: 4 });
    packets.on('packet', (packet) => {
      this.received.push(packet);
      this.#wake();
    });
    stream.on('data', (chunk: Buffer) => packets.parse(chunk));
    stream.on('error', () => {});
    this.closed = new Promise((resolve) => {
      // A WebSocket's stream does not close by itself at the other side's end.
      stream.once('end', () => stream.destroy());
      stream.once('close', resolve);
    });
  }

  static async to(port: number): Promise<RawClient> {
    const socket = connectTcp({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  /** Logs in as one of LOGINS. */
  static async login(port: number, username: string, options: object = {}): Promise<RawClient> {
    const client = await RawClient.to(port);
    const connack = await client.connect(username, options);
    assert.equal((connack as { returnCode?: number }).returnCode, 0, `login of ${username}`);
    return client;
  }

  connect(username: string, options: object = {}): Promise<Packet> {
    this.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clientId: username,
      clean: true,
      keepalive: 0,
      username,
      password: Buffer.from(LOGINS[username]?.password ?? ''),
      ...options,
    });
    return this.next('connack');
  }

  send(...packets: Sent[]): void {
    this.stream.write(Buffer.concat(packets.map((packet) => generate(packet as never))));
  }

  publish(topic: string, payload: string | Buffer, options: Record<string, unknown> = {}): void {
    this.send({ cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false, ...options });
  }

  async subscribe(...filters: string[]): Promise<unknown> {
    const subscriptions = filters.map((topic) => ({ topic, qos: 1 }));
    this.send({ cmd: 'subscribe', messageId: 1000, subscriptions });
    return ((await this.next('suback')) as { granted?: unknown }).granted;
  }

  /** The next packet, which must be of this kind. */
  async next<C extends Packet['cmd']>(cmd: C): Promise<Extract<Packet, { cmd: C }>> {
    if (this.#taken >= this.received.length) {
      const { promise, resolve, reject } = deferred();
      this.#wake = resolve;
      const timeout = setTimeout(() => reject(new Error(`no ${cmd} within ${DEADLINE_MS} ms`)), DEADLINE_MS);
      const closed = () => reject(new Error(`closed while waiting for ${cmd}`));
      this.stream.once('close', closed);
      await promise.finally(() => {
        clearTimeout(timeout);
        this.stream.off('close', closed);
      });
    }
    const packet = this.received[this.#taken] as Packet;
    this.#taken += 1;
    assert.equal(packet.cmd, cmd, `expected ${cmd}, got ${JSON.stringify(packet)}`);
    return packet as Extract<Packet, { cmd: C }>;
  }

  /** Fulfils when everything sent before has been read, and nothing but a ping's answer has come back since. */
  async nothingBut(): Promise<void> {
    this.send({ cmd: 'pingreq' });
    await this.next('pingresp');
  }

  async end(): Promise<void> {
    this.send({ cmd: 'disconnect' });
    await this.closed;
  }

  /** As a cable that is pulled. */
  async cut(): Promise<void> {
    this.stream.destroy();
    await this.closed;
  }
}
