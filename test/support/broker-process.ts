import { openStore } from '../../lib/store/open.js';
import { startBroker } from './mqtt.js';

/** The embedded broker in a process of its own, for tests that kill it. Sends its port; publishes what it is sent. */
async function main(url: string): Promise<void> {
  const broker = await startBroker(await openStore(url));
  await broker.link().subscribe('m/+/telemetry', { qos: 1 }, async ({ payload }) => {
    process.send?.({ heard: payload.toString() });
  });
  process.on('message', ({ topic, payload }: { topic: string; payload: string }) => {
    broker
      .link()
      .publish(topic, payload, { qos: 2 })
      .then(() => process.send?.({ published: payload }));
  });
  process.send?.({ port: broker.port });
}

void main(process.argv[2] ?? '');
