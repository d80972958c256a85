// Controllers that acknowledge and complete each update at once, many on each of a few connections.
import { connectAsync, type MqttClient } from 'mqtt';
import { answerParent } from './statistics.js';

interface Settings {
  url: string;
  /** One a connection. */
  logins: { username: string; password: string }[];
  storeIds: string[];
  /** Messages of the bare publisher: as many as the controllers' answers. */
  bare: number;
}

/** Unacknowledged publishes of a connection of the bare publisher. */
const WINDOW = 100;

const settings = JSON.parse(process.argv[2] as string) as Settings;
let updates = 0;
let answers = 0;

const answerOf = (type: string, asked: Record<string, unknown>) =>
  JSON.stringify({
    ...asked,
    event_type: type,
    timestamp: new Date().toISOString(),
    payload: { deployment_id: (asked['payload'] as { deployment_id: string }).deployment_id },
  });

function answer(client: MqttClient, topic: string, payload: Buffer): void {
  const asked = JSON.parse(payload.toString()) as Record<string, unknown>;
  if (asked['event_type'] !== 'update_firmware') return;
  updates += 1;
  for (const [channel, type] of [
    ['ack', 'update_firmware_ack'],
    ['action', 'update_firmware_completed'],
  ] as const) {
    client.publish(topic.replace(/action$/, channel), answerOf(type, asked), { qos: 1 }, (error) => {
      if (!error) answers += 1;
    });
  }
}

/** As many messages of the same size to a topic that nobody listens to. @returns ms */
async function publishBare(clients: MqttClient[]): Promise<number> {
  const topic = `/stores/${settings.storeIds[0]}/controllers/${crypto.randomUUID()}/metrics`;
  const asked = { store_id: crypto.randomUUID(), controller_id: crypto.randomUUID(), version: '1.0.0' };
  const payload = answerOf('update_firmware_ack', {
    ...asked,
    payload: { deployment_id: crypto.randomUUID() },
  });
  const begun = performance.now();
  let left = settings.bare;
  const lane = async (client: MqttClient) => {
    while (left > 0) {
      left -= 1;
      await client.publishAsync(topic, payload, { qos: 1 });
    }
  };
  await Promise.all(clients.flatMap((client) => Array.from({ length: WINDOW }, () => lane(client))));
  return performance.now() - begun;
}

async function run(): Promise<void> {
  const clients = await Promise.all(
    settings.logins.map(async (login, index) => {
      const client = await connectAsync(settings.url, { ...login, clientId: `fleet-${index}` });
      client.on('message', (topic, payload) => answer(client, topic, payload));
      const mine = settings.storeIds.filter((_id, at) => at % settings.logins.length === index);
      await client.subscribeAsync(
        mine.map((id) => `/stores/${id}/controllers/+/action`),
        { qos: 1 },
      );
      return client;
    }),
  );
  answerParent((question) =>
    question === 'bare' ? publishBare(clients).then((ms) => ({ ms })) : { updates, answers },
  );
}

void run();
