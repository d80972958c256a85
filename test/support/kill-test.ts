import assert from 'node:assert/strict';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { eventually } from './gateway.js';

/** Every so many messages one is bad, so that dead letters are under test as well. */
const BAD_EVERY = 100;

export const isBad = (number: number) => number % BAD_EVERY === BAD_EVERY - 1;

/** What is published, and what became of it: each message has a number that is found again in its row or dead letter. */
export interface Subject {
  topic: string;
  /** Good, or where `isBad` says so refused. */
  message(number: number): string;
  /** Rows and dead letters that are there. */
  count(): Promise<number>;
  /** Their numbers. */
  numbers(): Promise<{ rows: number[]; refused: number[] }>;
}

/** What a test may kill and start again. */
export interface Killable {
  readonly mqttUrl: string;
  start(): Promise<void>;
  end(signal: NodeJS.Signals): Promise<unknown>;
}

/** Publishes number after number with QoS 1 in a window, and notes each PUBACK, and what the client gave up. */
function publishNumbers(client: MqttClient, topic: string, make: (number: number) => string, total: number) {
  const acknowledged = new Set<number>();
  const failed: string[] = [];
  let next = 0;
  const fill = () => {
    while (next < total && next - acknowledged.size < 100) {
      const number = next;
      next += 1;
      client.publish(topic, make(number), { qos: 1 }, (error) => {
        if (error) failed.push(`${number}: ${error.message}`);
        else acknowledged.add(number);
        fill();
      });
    }
  };
  fill();
  return { acknowledged, failed };
}

/**
 * The promise of the package under the worst: numbered messages are published with QoS 1 while the gateway is disturbed
 * at random moments. In the end each acknowledged number is one row or one dead letter, and none is twice.
 * @param disturb does its worst, and puts the gateway on its feet again; by default a kill
 */
export async function nothingAcknowledgedIsLost(
  gateway: Killable,
  login: IClientOptions,
  subject: Subject,
  {
    total,
    times,
    disturb = async () => {
      await gateway.end('SIGKILL');
      await gateway.start();
    },
  }: { total: number; times: number; disturb?: () => Promise<void> },
): Promise<void> {
  const client = connect(gateway.mqttUrl, {
    ...login,
    clientId: `numbers-${Math.random().toString(36).slice(2)}`,
    clean: false,
    reconnectPeriod: 200,
    // A gateway whose database is away may refuse for a while.
    reconnectOnConnackError: true,
  });
  const story: string[] = [];
  const begun = Date.now();
  const note = (what: string) => story.push(`${Date.now() - begun} ${what}`);
  // Among the errors is a refused connection while the gateway is away.
  client.on('error', (error) => note(`error ${error.message}`));
  for (const event of ['connect', 'close', 'reconnect', 'offline', 'disconnect', 'end'] as const) {
    client.on(event, () => note(event));
  }
  try {
    const { acknowledged, failed } = publishNumbers(
      client,
      subject.topic,
      (number) => subject.message(number),
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
    ).catch((error: Error) => {
      const missing = Array.from({ length: total }, (_, number) => number).filter(
        (n) => !acknowledged.has(n),
      );
      const seen = `${missing.length} are missing, from ${missing[0]} on; ${failed.length} failed: ${failed[0]}`;
      throw new Error(
        `${error.message}: ${seen}; connected: ${client.connected}; ${story.slice(-20).join(', ')}`,
      );
    });

    // Another broker acknowledges for itself: the gateway may still be taking what that has kept.
    await eventually(
      async () => ((await subject.count()) >= total ? true : undefined),
      'the last row',
      60_000,
    ).catch(
      () => {}, // what is missing is said below
    );
    const { rows, refused } = await subject.numbers();
    const numbers = [...rows, ...refused].sort((a, b) => a - b);
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
