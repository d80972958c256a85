import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { ServerTCP } from 'modbus-serial';
import { freePort } from './ports.js';

const ILLEGAL_ADDRESS = 2;

function refusal(code: number): Error {
  return Object.assign(new Error('refused'), { modbusErrorCode: code });
}

/** A Modbus TCP device on loopback: what a test puts into it can be read, the rest is refused. */
export class ModbusDevice {
  readonly inputs = new Map<number, number>();
  readonly holding = new Map<number, number>();
  readonly coils = new Map<number, boolean>();
  /** Registers and coils that were written, in their order. */
  readonly written: [address: number, value: number | boolean][] = [];
  /** It takes requests and answers none. */
  silent = false;
  port = 0;
  #server: ServerTCP | undefined;

  /** Listens, always on the same port. */
  async start(): Promise<this> {
    if (this.port === 0) this.port = await freePort();
    const word = (from: Map<number, number>) => (address: number) =>
      this.#answer(() => {
        const found = from.get(address);
        if (found === undefined) throw refusal(ILLEGAL_ADDRESS);
        return found;
      });
    const set = (address: number, value: number | boolean) =>
      this.#answer(() => {
        const known = typeof value === 'boolean' ? this.coils : this.holding;
        if (!known.has(address)) throw refusal(ILLEGAL_ADDRESS);
        known.set(address, value as never);
        this.written.push([address, value]);
      });
    const server = new ServerTCP(
      {
        getInputRegister: word(this.inputs),
        getHoldingRegister: word(this.holding),
        getCoil: (address: number) => this.#answer(() => this.coils.get(address) ?? false),
        getDiscreteInput: (address: number) => this.#answer(() => this.coils.get(address) ?? false),
        setRegister: set,
        setCoil: set,
      },
      { host: '127.0.0.1', port: this.port },
    );
    server.on('error', () => {}); // a request that this server cannot read
    await once(server, 'initialized');
    this.#server = server;
    return this;
  }

  /** Cuts every connection and takes no new one. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  #answer<T>(give: () => T): Promise<T> {
    return this.silent ? new Promise(() => {}) : Promise.resolve().then(give);
  }
}

function crc16(bytes: Buffer): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1;
  }
  return crc;
}

/** A device server: serial frames on one side, a Modbus TCP device on the other. */
export class SerialGateway {
  port = 0;
  /** Answers are held back, to be let go late. */
  held: (() => void)[] | undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(readonly device: ModbusDevice) {
    this.#server = createServer((near) => this.#serve(near));
  }

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #serve(near: Socket): void {
    const far = connect(this.device.port, '127.0.0.1');
    let frames = Buffer.alloc(0);
    let answers = Buffer.alloc(0);
    near.on('data', (data) => {
      frames = Buffer.concat([frames, data]);
      for (;;) {
        const length = (frames[1] ?? 0) > 6 ? 9 + (frames[6] ?? 0xff) : 8;
        if (frames.length < length) return;
        const pdu = frames.subarray(0, length - 2);
        if (crc16(pdu) !== frames.readUInt16LE(length - 2)) throw new Error('a frame with a wrong checksum');
        const head = Buffer.alloc(6);
        head.writeUInt16BE(pdu.length, 4);
        far.write(Buffer.concat([head, pdu]));
        frames = frames.subarray(length);
      }
    });
    far.on('data', (data) => {
      answers = Buffer.concat([answers, data]);
      while (answers.length >= 6 && answers.length >= 6 + answers.readUInt16BE(4)) {
        const end = 6 + answers.readUInt16BE(4);
        const pdu = answers.subarray(6, end);
        const crc = Buffer.alloc(2);
        crc.writeUInt16LE(crc16(pdu));
        const frame = Buffer.concat([pdu, crc]);
        if (this.held === undefined) near.write(frame);
        else this.held.push(() => near.write(frame));
        answers = answers.subarray(end);
      }
    });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => {}); // a close follows
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
  }
}

/** Waits for what sockets of this process do. */
export async function until(condition: () => boolean, withinMs = 15_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs / 1000} s: ${condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
