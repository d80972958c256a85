import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { eventually, type Gateway } from './gateway.js';

const RELAYS = 50;
/** Every so many messages one is bad, so that dead letters are under test as well. */
const BAD_EVERY = 100;
const START = Date.parse('2026-03-01T00:00:00Z');

const isBad = (number: number) => number % BAD_EVERY === BAD_EVERY - 1;
/** Counts the good numbers alone, so that each of them toggles its relay. */
const goodBefore = (number: number) => number - Math.floor(number / BAD_EVERY);

function numberedState(storeId: string, controllerId: string, number: number): string {
  const index = goodBefore(number);
  const at = new Date(START + number).toISOString();
  return JSON.stringify({
    version: '1.0.0',
    event_type: 'machine_state',
    timestamp: at,
    correlation_id: randomUUID(),
    controller_id: controllerId,
    store_id: storeId,
    payload: {
      machines: [
        {
          machine_type: 'washer',
          relay_id: index % RELAYS,
          status: isBad(number) ? `broken-${number}` : Math.floor(index / RELAYS) % 2 === 0 ? 'busy' : 'idle',
          last_updated: at,
        },
      ],
    },
  });
}

/** Publishes number after number with QoS 1 in a window, and notes each PUBACK. */
function publishNumbers(client: MqttClient, topic: string, make: (number: number) => string, total: number) {
  const acknowledged = new Set<number>();
  let next = 0;
  const fill = () => {
    while (next < total && next - acknowledged.size < 100) {
      const number = next;
      next += 1;
      client.publish(topic, make(number), { qos: 1 }, (error) => {
        if (!error) acknowledged.add(number);
        fill();
      });
    }
  };
  fill();
  return acknowledged;
}

/** Whether as many states and dead letters are there as were published. */
async function allKept(gateway: Gateway, storeId: string, total: number): Promise<boolean> {
  const [from, to] = [START, START + total].map((ms) => new Date(ms).toISOString());
  const { items } = await gateway.get<{ items: { changes: number }[] }>(
    `/stores/${storeId}/machines/statistics?from=${from}&to=${to}`,
  );
  const refused = await refusedOf(gateway, storeId);
  return items.reduce((sum, { changes }) => sum + changes, 0) + refused.length >= total;
}

interface Change {
  last_updated: string;
}
interface Refused {
  topic: string;
  payload_base64: string;
}

async function refusedOf(gateway: Gateway, storeId: string): Promise<Refused[]> {
  const letters = await gateway.list<Refused>('/dead-letters?protocol=laundry');
  return letters.filter(({ topic }) => topic.includes(storeId));
}

/**
 * The promise of the package under the worst: numbered states are published with QoS 1 while the gateway is disturbed
 * at random moments. In the end each acknowledged number is one state change or one dead letter, and none is twice.
 * @param disturb does its worst, and puts the gateway on its feet again; by default a kill
 */
export async function nothingAcknowledgedIsLost(
  gateway: Gateway,
  login: IClientOptions,
  ids: { storeId: string; controllerId: string },
  {
    total,
    times,
    disturb = async () => {
      await gateway.end('SIGKILL');
      await gateway.start();
    },
  }: { total: number; times: number; disturb?: () => Promise<void> },
): Promise<void> {
  const { storeId, controllerId } = ids;
  const client = connect(gateway.mqttUrl, {
    ...login,
    clientId: controllerId,
    clean: false,
    reconnectPeriod: 200,
  });
  client.on('error', () => {}); // a refused connection while the gateway is away
  try {
    const topic = `/stores/${storeId}/controllers/${controllerId}/metrics`;
    const acknowledged = publishNumbers(
      client,
      topic,
      (number) => numberedState(storeId, controllerId, number),
      total,
    );
    for (let time = 0; time < times; time += 1) {
      // A random moment, in messages: somewhere in this time's share of them.
      const share = total / (times + 1);
      const moment = Math.floor(share * (time + 0.2 + Math.random() * 0.8));
      await eventually(
        async () => acknowledged.size >= moment || undefined,
        `${moment} acknowledgements`,
        120_000,
      );
      await disturb();
    }
    await eventually(
      async () => acknowledged.size === total || undefined,
      'the last acknowledgement',
      120_000,
    );

    // Another broker acknowledges for itself: the gateway may still be taking what that has kept.
    await eventually(
      async () => ((await allKept(gateway, storeId, total)) ? true : undefined),
      'the last row',
      60_000,
    ).catch(
      () => {}, // what is missing is said below
    );
    const changes = await gateway.list<Change>(`/stores/${storeId}/machines/history`);
    const refused = await refusedOf(gateway, storeId);
    const numbers = [
      ...changes.map((change) => Date.parse(change.last_updated) - START),
      ...refused.map(({ payload_base64 }) => {
        const text = Buffer.from(payload_base64, 'base64').toString();
        return Number(/broken-(\d+)/.exec(text)?.[1]);
      }),
    ].sort((a, b) => a - b);
    const twice = numbers.filter((number, index) => number === numbers[index - 1]);
    assert.deepEqual(twice, [], 'numbers that are there twice');
    const kept = new Set(numbers);
    const lost = [...acknowledged].filter((number) => !kept.has(number));
    assert.deepEqual(lost, [], 'acknowledged numbers that are not there');
    assert.equal(refused.length, total / BAD_EVERY);
  } finally {
    await client.endAsync(true);
  }
}
