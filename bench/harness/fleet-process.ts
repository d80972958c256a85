// A fleet of controllers: one MQTT connection each, every one with its own login, a full state at each interval.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { connectAsync, type MqttClient } from 'mqtt';
import { answerParent } from './statistics.js';

export interface FleetSettings {
  url: string;
  /** A file with one `{storeId, controllerId, username, password}` a controller. */
  loginsFile: string;
  machines: number;
  intervalMs: number;
}

export interface FleetAnswer {
  connected: number;
  sent: number;
  acknowledged: number;
  /** Publish to PUBACK, 99th percentile, ms. */
  acknowledgedMs: number;
}

const settings = JSON.parse(process.argv[2] as string) as FleetSettings;
const logins = JSON.parse(readFileSync(settings.loginsFile, 'utf8')) as {
  storeId: string;
  controllerId: string;
  username: string;
  password: string;
}[];

let sent = 0;
let acknowledged = 0;
let delays: number[] = [];
const clients: MqttClient[] = [];

function fullState(login: (typeof logins)[number], round: number): string {
  const at = new Date().toISOString();
  return JSON.stringify({
    version: '1.0.0',
    event_type: 'machine_state',
    timestamp: at,
    correlation_id: crypto.randomUUID(),
    controller_id: login.controllerId,
    store_id: login.storeId,
    payload: {
      machines: Array.from({ length: settings.machines }, (_, relay) => ({
        machine_type: relay % 2 === 0 ? 'washer' : 'dryer',
        relay_id: relay,
        // About one machine in eight changes from one report to the next.
        status: Math.floor((round + relay * 2) / 8) % 2 === 0 ? 'busy' : 'idle',
        last_updated: at,
      })),
    },
  });
}

async function run(): Promise<void> {
  for (const login of logins) {
    const client = await connectAsync(settings.url, {
      username: login.username,
      password: login.password,
      clientId: login.controllerId,
      keepalive: 60,
    });
    clients.push(client);
  }
  const topics = logins.map((login) => `/stores/${login.storeId}/controllers/${login.controllerId}/metrics`);
  const begun = performance.now();
  answerParent(() => {
    delays.sort((a, b) => a - b);
    const answer: FleetAnswer = {
      connected: clients.filter((client) => client.connected).length,
      sent,
      acknowledged,
      acknowledgedMs: delays[Math.floor(delays.length * 0.99)] ?? 0,
    };
    delays = [];
    return answer;
  });
  // Evenly over the interval, as controllers that were switched on at any moment are.
  for (let turn = 0; ; turn += 1) {
    const index = turn % logins.length;
    const due = begun + (turn * settings.intervalMs) / logins.length;
    const early = due - performance.now();
    if (early > 1) await delay(early);
    const at = performance.now();
    sent += 1;
    const round = Math.floor(turn / logins.length);
    clients[index]?.publish(
      topics[index] as string,
      fullState(logins[index] as (typeof logins)[number], round),
      { qos: 1 },
      (error) => {
        if (error) return;
        acknowledged += 1;
        delays.push(performance.now() - at);
      },
    );
  }
}

void run();
