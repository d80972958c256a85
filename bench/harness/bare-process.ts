// The peer that does least: MQTT.js receives with QoS 1 and drops.
import { connect } from 'mqtt';
import { answerParent, measure } from './statistics.js';

const settings = JSON.parse(process.argv[2] as string) as { url: string; clientId: string; filter: string };
let count = 0;
let first = 0;
let last = 0;
const statistics = measure(() => count);
const client = connect(settings.url, { clientId: settings.clientId, clean: false });
client.on('message', () => {
  last = performance.now();
  if (count === 0) first = last;
  count += 1;
});
client.subscribe(settings.filter, { qos: 1 });
answerParent((question) => (question === 'span' ? { ms: last - first } : statistics()));
