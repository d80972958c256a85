import { connect } from 'node:net';
import type ModbusRTU from 'modbus-serial';
import { asError, FieldloomError } from '../core/errors.js';
import type { ModbusTransport } from '../roast/modbus-settings.js';

/** An open connection to a device. */
export interface Wire {
  readonly client: ModbusRTU;
  /** Fulfils when the connection is gone. */
  readonly lost: Promise<void>;
  end(): void;
}

/** A connection that is being made. */
export interface Opening {
  /** @throws FieldloomError not_connected; missing_setting where serial ports cannot be used at all */
  readonly wire: Promise<Wire>;
  /** It is wanted no more. */
  end(): void;
}

/** Loaded with the first connection: with it comes native code for serial ports, which most gateways never need. */
const newClient = async (): Promise<ModbusRTU> => new (await import('modbus-serial')).default.default();

export function openWire(transport: ModbusTransport): Opening {
  return transport.kind === 'rtu' ? openSerial(transport) : openSocket(transport);
}

function openSocket({ kind, host, port }: Extract<ModbusTransport, { host: string }>): Opening {
  // A socket of our own: the library tells nobody of one that was reset.
  const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 });
  const lost = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const opened = new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      reject(unreachable(`${host} port ${port}`, error.code ?? error.message, error));
    });
    socket.once('close', () => reject(unreachable(`${host} port ${port}`, 'closed')));
  });
  const end = () => void socket.destroy();
  async function link(): Promise<Wire> {
    await opened;
    const client = await newClient();
    await (kind === 'tcp' ? client.linkTCP(socket, options()) : client.linkTelnet(socket, {}));
    client.on('error', () => {}); // the socket's own events tell
    return { client, lost, end };
  }
  return { wire: link(), end };
}

/** The types ask for a port, of which a socket that is open has no need. */
const options = () => ({}) as Parameters<ModbusRTU['linkTCP']>[1];

function openSerial(transport: Extract<ModbusTransport, { kind: 'rtu' }>): Opening {
  const { path, baudRate, parity, dataBits, stopBits } = transport;
  let wanted = true;
  let close = () => {
    wanted = false;
  };
  async function open(): Promise<Wire> {
    const client = await newClient();
    const lost = new Promise<void>((resolve) => client.on('close', () => resolve()));
    client.on('error', () => {}); // a close follows, or the answer does not come
    let opening: Promise<void>;
    try {
      opening = client.connectRTUBuffered(path, { baudRate, parity, dataBits, stopBits });
    } catch (error) {
      throw new FieldloomError(
        'missing_setting',
        'transport rtu needs the npm package serialport, which cannot be loaded: run "npm install serialport" in the ' +
          `directory of Node-RED's settings, or use rtu_over_tcp (${asError(error).message.split('\n')[0]})`,
        { pointer: '/transport', cause: error },
      );
    }
    await opening.catch((error: unknown) => {
      throw unreachable(path, asError(error).message, error);
    });
    close = () => client.close(() => {});
    if (!wanted) close();
    return { client, lost, end: close };
  }
  return { wire: open(), end: () => close() };
}

const unreachable = (where: string, why: string, cause?: unknown) =>
  new FieldloomError('not_connected', `${where} cannot be reached: ${why}`, { cause });
