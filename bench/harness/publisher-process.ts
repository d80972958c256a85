// Publishes numbered messages with QoS 1 over several connections, each with a bounded window.
import { connectAsync } from 'mqtt';
import { type Load, message } from './messages.js';
import { answerParent } from './statistics.js';

interface Settings {
  url: string;
  /** One a connection, since a login has one session; absent: none is wanted. */
  logins?: { username: string; password: string }[];
  load: Load;
  from: number;
  to: number;
  connections: number;
  window: number;
  /** Messages a second over all connections; absent: as many as are acknowledged. */
  rate?: number;
}

const settings = JSON.parse(process.argv[2] as string) as Settings;
let next = settings.from;
let acknowledged = 0;
const started = performance.now();

const allowed = () =>
  settings.rate === undefined ||
  next - settings.from < ((performance.now() - started) / 1000) * settings.rate;

async function publishOver(connection: number): Promise<void> {
  const client = await connectAsync(settings.url, { ...settings.logins?.[connection], reconnectPeriod: 0 });
  await new Promise<void>((resolve, reject) => {
    let open = 0;
    client.on('close', () => reject(new Error('the broker closed the connection')));
    const fill = () => {
      while (open < settings.window && next < settings.to && allowed()) {
        const { topic, payload } = message(settings.load, next);
        next += 1;
        open += 1;
        client.publish(topic, payload, { qos: 1 }, (error) => {
          if (error) return reject(error);
          acknowledged += 1;
          open -= 1;
          if (next >= settings.to && open === 0) resolve();
          else fill();
        });
      }
      if (open === 0 && next >= settings.to) resolve();
      else if (open < settings.window && next < settings.to) setTimeout(fill, 5);
    };
    fill();
  });
  client.removeAllListeners('close');
  client.end();
}

const finished = Promise.all(
  Array.from({ length: settings.connections }, (_, index) => publishOver(index)),
).then(() => ({
  acknowledged,
  ms: performance.now() - started,
}));

answerParent((question) => (question === 'finished' ? finished : { acknowledged }));
