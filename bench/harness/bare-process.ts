// The peer that does least: MQTT.js receives with QoS 1 and drops.
import { connect } from 'mqtt';
import { answerParent, measure } from './statistics.js';

const settings = JSON.parse(process.argv[2] as string) as { url: string; clientId: string; filter: string };
let count = 0;
const statistics = measure(() => count);
const client = connect(settings.url, { clientId: settings.clientId, clean: false });
client.on('message', () => {
  count += 1;
});
client.subscribe(settings.filter, { qos: 1 });
answerParent(statistics);
