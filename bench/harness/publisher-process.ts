// Publishes numbered messages with QoS 1 over several connections, each with a bounded window. It writes packets to
// the socket itself: a full MQTT client would take more of the machine than what is measured.
import { once } from 'node:events';
import { connect } from 'node:net';
import { generate, type Packet, parser } from 'mqtt-packet';
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
  /** Unacknowledged messages of a connection. */
  window: number;
}

const settings = JSON.parse(process.argv[2] as string) as Settings;
let acknowledged = 0;

function publishPacket(index: number): Buffer {
  const { topic, payload } = message(settings.load, index);
  const messageId = (index % 65_535) + 1;
  return generate({ cmd: 'publish', topic, payload, qos: 1, messageId, retain: false, dup: false });
}

function connectPacket(connection: number): Buffer {
  const login = settings.logins?.[connection];
  return generate({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clientId: `publisher-${connection}`,
    clean: true,
    keepalive: 0,
    ...(login && { username: login.username, password: Buffer.from(login.password) }),
  });
}

async function publishOver(connection: number): Promise<void> {
  const { hostname, port } = new URL(settings.url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.setNoDelay(true);
  const packets = parser();
  let open = 0;
  // A machine's messages come over one connection, as they do in a plant.
  let next = settings.from + connection;
  const fill = () => {
    socket.cork();
    for (; open < settings.window && next < settings.to; open += 1) {
      socket.write(publishPacket(next));
      next += settings.connections;
    }
    socket.uncork();
  };
  await new Promise<void>((resolve, reject) => {
    packets.on('packet', (packet: Packet) => {
      if (packet.cmd === 'connack' && packet.returnCode !== 0)
        reject(new Error(`refused: ${packet.returnCode}`));
      if (packet.cmd !== 'puback') return;
      acknowledged += 1;
      open -= 1;
    });
    socket.on('data', (data) => {
      packets.parse(data);
      if (next < settings.to && open <= settings.window / 2) fill();
      if (next >= settings.to && open === 0) resolve();
    });
    socket.on('close', () => reject(new Error('the broker closed the connection')));
    socket.on('error', reject);
    socket.write(connectPacket(connection));
  });
  socket.removeAllListeners('close');
  socket.end(generate({ cmd: 'disconnect' }));
}

const started = performance.now();
const finished = Promise.all(
  Array.from({ length: settings.connections }, (_, index) => publishOver(index)),
).then(() => ({ acknowledged, ms: performance.now() - started }));

answerParent((question) => (question === 'finished' ? finished : { acknowledged }));
