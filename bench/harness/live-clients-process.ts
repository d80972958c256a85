// Clients of live feeds, several to a machine, which note how late each message is.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { answerParent } from './statistics.js';

export interface LiveClientsSettings {
  url: string;
  company: string;
  machines: string[];
  clients: number;
}

export interface LiveClientsAnswer {
  /** Since it was last asked, of those that read; ms. */
  delays: number[];
  /** Messages that the first client was told to have missed. */
  dropped: number;
  open: number;
}

const settings = JSON.parse(process.argv[2] as string) as LiveClientsSettings;
const sockets: WebSocket[] = [];
let delays: number[] = [];
let dropped = 0;

const underlying = (socket: WebSocket | undefined) => (socket as unknown as { _socket: Socket })._socket;

/** The first client is the one that may stop reading: its own delays say nothing. */
function hear(index: number, data: string): void {
  const message = JSON.parse(data) as { type: string; data: { dropped?: number; extra?: { sent?: number } } };
  if (message.type === 'gap') {
    if (index === 0) dropped += message.data.dropped ?? 0;
    else throw new Error('a client that reads has missed messages');
  }
  const sent = message.type === 'telemetry' ? message.data.extra?.sent : undefined;
  if (index !== 0 && sent !== undefined) delays.push(performance.timeOrigin + performance.now() - sent);
}

async function run(): Promise<void> {
  for (let index = 0; index < settings.clients; index += 1) {
    const machine = settings.machines[index % settings.machines.length];
    const socket = new WebSocket(`${settings.url}/realtime/${machine}?company=${settings.company}`);
    socket.on('message', (data) => hear(index, data.toString()));
    sockets.push(socket);
    await once(socket, 'open');
  }
  answerParent((question): LiveClientsAnswer => {
    if (question === 'pause') underlying(sockets[0]).pause();
    if (question === 'resume') underlying(sockets[0]).resume();
    const answer = {
      delays,
      dropped,
      open: sockets.filter(({ readyState }) => readyState === WebSocket.OPEN).length,
    };
    delays = [];
    return answer;
  });
}

void run();
