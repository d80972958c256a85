// Devices that acknowledge each command at once.
import { connect } from 'mqtt';
import { answerParent, measure } from './statistics.js';

const settings = JSON.parse(process.argv[2] as string) as { url: string };
let count = 0;
const client = connect(settings.url, { clientId: 'devices', clean: true });
client.on('message', (topic, payload) => {
  count += 1;
  const { command_id } = JSON.parse(payload.toString()) as { command_id: string };
  const answer = JSON.stringify({ command_id, success: true, message: 'done' });
  client.publish(topic.replace(/commands$/, 'ack'), answer, { qos: 1 });
});
client.on('connect', () => {
  client.subscribe('devices/+/commands', { qos: 2 }, () => answerParent(measure(() => count)));
});
