import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { composeFlows, type FlowNode } from '../../bin/compose.js';
import type { Gateway } from './gateway.js';
import { checkDescribed, type Method } from './openapi.js';

const FLOWS = join(__dirname, '../../../flows');
const KEPT = ['fieldloom-store', 'fieldloom-access', 'fieldloom-connection', 'fieldloom-broker'];

/** Readings come from and controls go to an HTTP path: the hardware on wires. */
function hardwareFlow(): FlowNode[] {
  const on = { z: 'test-tab' };
  const fn = (id: string, func: string, target: string) => ({
    ...{ id, type: 'function', ...on, func, outputs: 1, wires: [[target]] },
  });
  return [
    { id: 'in', type: 'http in', ...on, url: '/hardware', method: 'post', wires: [['read', 'answer']] },
    fn(
      'read',
      'const { machine_id, event, ...payload } = msg.payload; return { machine_id, event, payload };',
      'roast',
    ),
    { id: 'answer', type: 'http response', ...on, statusCode: '204', wires: [] },
    {
      id: 'roast',
      type: 'fieldloom-roast-session',
      ...on,
      store: 'gateway-store',
      wires: [[], [], [], ['write'], []],
    },
    fn(
      'write',
      "const all = global.get('written') || []; all.push([msg.machine_id, msg.channel, msg.payload]); global.set('written', all); return null;",
      'answer',
    ),
    { id: 'out', type: 'http in', ...on, url: '/hardware', method: 'get', wires: [['written']] },
    fn('written', "msg.payload = global.get('written') || []; return msg;", 'told'),
    { id: 'told', type: 'http response', ...on, statusCode: '200', wires: [] },
  ];
}

/** Puts the nodes of roasts and the hardware into the gateway's directory; before its first start. */
export async function installRoastFlow(gateway: Gateway): Promise<void> {
  const foundation = (await composeFlows(FLOWS))
    .filter(({ type }) => KEPT.includes(type))
    .map(({ credentials: _, g: _group, ...node }) => ({ ...node, ...(node['z'] ? { z: 'test-tab' } : {}) }))
    .map((node) => ('wires' in node ? { ...node, wires: [[], []] } : node) as FlowNode);
  const tab = { id: 'test-tab', type: 'tab', label: 'test' };
  await writeFile(
    join(gateway.directory, 'flows.json'),
    JSON.stringify([tab, ...foundation, ...hardwareFlow()]),
  );
}

export interface LiveMessage {
  type: string;
  timestamp_ms: number;
  [name: string]: unknown;
}

/** A plain client of `/ws/live/{machine_id}`. */
export class RoastSocket {
  readonly all: LiveMessage[] = [];
  closed: number | undefined;
  #read = 0;
  #wake: (() => void)[] = [];

  private constructor(readonly socket: WebSocket) {
    socket.on('message', (data) => {
      this.all.push(JSON.parse(data.toString()) as LiveMessage);
      this.#awake();
    });
    socket.on('close', (code) => {
      this.closed = code;
      this.#awake();
    });
    socket.on('error', () => {}); // a close follows
  }

  static async open(url: string, machineId: string, query = ''): Promise<RoastSocket> {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/live/${machineId}${query}`);
    const opened = new RoastSocket(socket);
    await once(socket, 'open');
    return opened;
  }

  #awake(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  say(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  /** The next message that is no temperature. */
  next(): Promise<LiveMessage> {
    return this.until(({ type }) => type !== 'temperature');
  }

  /** The next message that is one, passing over others. */
  async until(wanted: (message: LiveMessage) => boolean): Promise<LiveMessage> {
    for (;;) {
      while (this.#read < this.all.length) {
        const message = this.all[this.#read] as LiveMessage;
        this.#read += 1;
        if (wanted(message)) return message;
      }
      if (this.closed !== undefined) throw new Error(`the socket was closed with ${this.closed}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  async end(): Promise<void> {
    if (this.socket.readyState === WebSocket.CLOSED) return;
    const closed = once(this.socket, 'close');
    this.socket.terminate();
    await closed;
  }
}

/** A roaster with probes on wires, a reading every quarter of a second. */
export class Hardware {
  bt = 200;
  #charged = false;
  readonly #timer: NodeJS.Timeout;

  constructor(
    readonly gateway: Gateway,
    readonly machineId: string,
  ) {
    this.#timer = setInterval(() => {
      if (this.#charged) this.bt += (90 - this.bt) * 0.02;
      this.send({ bt: this.bt, et: 210.5 }).catch(() => {}); // the gateway may be away
    }, 250);
  }

  charge(): void {
    this.#charged = true;
  }

  async send(body: object): Promise<void> {
    await fetch(`${this.gateway.url}/hardware`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ machine_id: this.machineId, ...body }),
    });
  }

  written(): Promise<[string, string, number][]> {
    return this.gateway.get('/hardware');
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** Asks the gateway over REST, and holds the answer against its description. */
export async function askRoast(gateway: Gateway, method: string, path: string, body?: unknown) {
  const answer = await fetch(gateway.url + path, {
    method,
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON it is
  const parsed = (text === '' ? undefined : JSON.parse(text)) as any;
  const described = path.replace(/\?.*/, '').replace(/^(\/api\/\w+\/)[^/]+/, '$1{id}');
  checkDescribed(described, method.toLowerCase() as Method, answer.status, parsed);
  return { status: answer.status, body: parsed };
}
