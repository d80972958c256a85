import { randomUUID } from 'node:crypto';
import { connectAsync, type MqttClient } from 'mqtt';
import { WebSocket } from 'ws';
import type { Access } from '../../lib/access/access.js';

export interface Target {
  url: string;
  mqttUrl: string;
  /** Of an administrator. */
  token: string;
  pondId: number;
}

/** What has been done so far, by kind. */
export type Counts = Record<string, number>;

const MACHINES = 50;
const CONTROLLERS = 20;
const FOLLOWERS = 5;
const COMPANY = 'soak';
const ROASTER = 'soak-roaster';

/**
 * What many users and machines do at once, for as long as it runs: telemetry and states, live feeds that come and go,
 * clients that reconnect, readers, commands, roasts, wrong logins, messages that are refused.
 */
export class SoakLoad {
  readonly counts: Counts = {};
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #clients: MqttClient[] = [];
  readonly #feeds = new Set<WebSocket>();
  #round = 0;

  constructor(
    private readonly target: Target,
    private readonly access: Access,
  ) {}

  #did(kind: string) {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
  }

  /** Again and again; what fails is counted, not thrown. */
  #every(ms: number, kind: string, work: () => Promise<unknown>) {
    let busy = false;
    const timer = setInterval(() => {
      if (busy) return;
      busy = true;
      work()
        .then(
          () => this.#did(kind),
          () => this.#did(`${kind}, failed`),
        )
        .finally(() => {
          busy = false;
        });
    }, ms);
    this.#timers.push(timer);
  }

  async #ask(method: string, path: string, body?: unknown, token = this.target.token): Promise<Response> {
    const answer = await fetch(this.target.url + path, {
      method,
      headers: {
        ...(token !== '' && { Authorization: `Bearer ${token}` }),
        'Content-Type': 'application/json',
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    await answer.arrayBuffer();
    return answer;
  }

  async #read(path: string) {
    const { ok, status } = await this.#ask('GET', path);
    if (!ok) throw new Error(`${path}: ${status}`);
  }

  async #client(identity: Parameters<Access['addClient']>[0]): Promise<MqttClient> {
    const { username, password } = await this.access.addClient(identity);
    const client = await connectAsync(this.target.mqttUrl, { username, password, clientId: username });
    this.#clients.push(client);
    return client;
  }

  #follow(path: string) {
    const feed = new WebSocket(this.target.url.replace('http', 'ws') + path, {
      headers: { Authorization: `Bearer ${this.target.token}` },
    });
    this.#feeds.add(feed);
    feed.on('message', () => this.#did('live messages'));
    feed.on('error', () => this.#did('feeds, failed'));
    feed.on('close', () => this.#feeds.delete(feed));
    return feed;
  }

  async start(): Promise<void> {
    await this.#solar();
    const storeId = await this.#laundry();
    await this.#roaster();
    this.#people(storeId);
  }

  async #solar() {
    for (let index = 0; index < MACHINES; index += 1) {
      const machineId = `machine-${index}`;
      const client = await this.#client({ role: 'machine', company: COMPANY, machine: machineId });
      const topic = `company/${COMPANY}/machine/${machineId}`;
      await client.publishAsync(`${topic}/status`, '{"status":"online"}', { qos: 1 });
      this.#every(1_000, 'telemetry', () => {
        const value = 50 + 30 * Math.sin(Date.now() / 60_000 + index);
        const extra = { motor: { temp: value / 2, rpm: Math.round(value * 30) } };
        const row = { battery: value, solar_v: value / 2, solar_a: value / 20, water: value, extra };
        return client.publishAsync(`${topic}/telemetry`, JSON.stringify(row), { qos: 1 });
      });
    }
  }

  async #laundry(): Promise<string> {
    const storeId = randomUUID();
    for (let index = 0; index < CONTROLLERS; index += 1) {
      const controllerId = randomUUID();
      const client = await this.#client({ role: 'controller', storeId, controllerId });
      const topic = `/stores/${storeId}/controllers/${controllerId}/metrics`;
      this.#every(5_000, 'machine states', () => {
        const at = new Date().toISOString();
        const round = Math.floor(Date.now() / 20_000);
        const machines = Array.from({ length: 4 }, (_, relay) => ({
          ...{ machine_type: 'washer', relay_id: relay, last_updated: at },
          status: (round + relay) % 2 === 0 ? 'busy' : 'idle',
        }));
        const message = {
          ...{ version: '1.0.0', event_type: 'machine_state', timestamp: at, correlation_id: randomUUID() },
          ...{ controller_id: controllerId, store_id: storeId, payload: { machines } },
        };
        return client.publishAsync(topic, JSON.stringify(message), { qos: 1 });
      });
      if (index === 0)
        this.#every(2_000, 'refused messages', () => client.publishAsync(topic, '{"version":1', { qos: 1 }));
    }
    return storeId;
  }

  async #roaster() {
    await this.#ask('POST', '/api/machines', { id: ROASTER, name: 'Soak', driver: 'simulator' });
    await this.#ask('POST', `/api/machines/${ROASTER}/connect`);
    const feed = this.#follow(`/ws/live/${ROASTER}`);
    const say = async (message: object) => feed.send(JSON.stringify(message));
    const steps = [
      { type: 'command', action: 'start_monitoring' },
      { type: 'command', action: 'start_recording' },
      { type: 'control', channel: 'charge', value: 1 },
      { type: 'control', channel: 'burner', value: 0.8 },
      { type: 'command', action: 'stop_recording' },
      { type: 'command', action: 'reset' },
    ];
    let step = 0;
    this.#every(8_000, 'steps of roasts', () => say(steps[step++ % steps.length] as object));
  }

  #people(storeId: string) {
    const { pondId } = this.target;
    const paths = [
      `/stores/${storeId}/machines`,
      `/stores/${storeId}/machines/history?limit=50`,
      `/companies/${COMPANY}/machines`,
      `/companies/${COMPANY}/machines/machine-1/telemetry?resolution=1m`,
      `/automation/ponds/${pondId}/`,
      `/automation/ponds/${pondId}/executions/`,
      '/dead-letters?limit=10',
      '/firmware/rollouts',
      `/api/machines/${ROASTER}/session`,
      '/metrics',
      '/health',
      '/dashboard/laundry',
    ];
    this.#every(500, 'reads', () => this.#read(paths[this.#round++ % paths.length] as string));
    this.#every(5_000, 'feed commands', () =>
      this.#ask('POST', `/automation/ponds/${pondId}/control/feed/`, { amount: 10 }),
    );
    this.#every(3_000, 'unknown paths and users', async () => {
      await this.#ask('GET', `/stores/${randomUUID()}/machines`, undefined, 'no.good.token');
      await this.#ask('POST', '/api/token/', { username: randomUUID(), password: 'wrong' }, '');
    });
    const feeds = [`/realtime/stores/${storeId}`, '/realtime/machine-1', `/realtime/ponds/${pondId}`];
    for (let index = 0; index < FOLLOWERS; index += 1) {
      let feed: WebSocket | undefined;
      this.#every(10_000 + index * 1_000, 'feeds opened', async () => {
        feed?.terminate();
        feed = this.#follow(feeds[index % feeds.length] as string);
      });
    }
    this.#every(4_000, 'reconnections', async () => {
      const client = this.#clients[this.#round % this.#clients.length] as MqttClient;
      client.stream.destroy();
    });
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    for (const feed of this.#feeds) feed.terminate();
    await Promise.all(this.#clients.map((client) => client.endAsync(true)));
  }
}
