import { FieldloomError, hasCode } from '../core/errors.js';
import type { DriverReading, RoastDriver } from './driver.js';
import { blockOf, blocksOf, type ModbusBlock, type ModbusRead } from './modbus-blocks.js';
import { decodeRegister, encodeRegister, rawOf, widthOf } from './modbus-register.js';
import type { ModbusChannel, ModbusControl, ModbusSettings } from './modbus-settings.js';
import { toCelsius } from './reading.js';

/** What one request writes: words of 16 bits, or 0 and 1. */
export interface ModbusWrite {
  readonly unitId: number;
  readonly functionCode: 5 | 6 | 15 | 16;
  readonly address: number;
  readonly values: readonly number[];
}

/**
 * The wire to a device, one request at a time. What it rejects with is a FieldloomError: device_refused where the device
 * answers with an exception, not_connected where it does not answer, link_closed where the wire is gone.
 */
export interface ModbusLine {
  open(): Promise<void>;
  close(): Promise<void>;
  /** @returns words of 16 bits, or 0 and 1, as many as were asked for */
  read(request: ModbusRead): Promise<readonly number[]>;
  /** It is sent before reads that wait. */
  write(request: ModbusWrite): Promise<void>;
}

const NAMES = { tcp: 'Modbus TCP', rtu_over_tcp: 'Modbus RTU over TCP', rtu: 'Modbus RTU' } as const;
const KINDS: Readonly<Record<number, string>> = {
  1: 'coil',
  2: 'discrete input',
  3: 'holding register',
  4: 'input register',
  5: 'coil',
  6: 'holding register',
  15: 'coil',
  16: 'holding register',
};

/**
 * A roaster that speaks Modbus (roast.md "Drivers"). To connect is to read all of its channels once, so that a wrong
 * register is known before the roast.
 */
export function createModbusDriver(
  settings: ModbusSettings,
  line: ModbusLine,
  steadyNow: () => number,
): RoastDriver {
  const { channels, controls, transport } = settings;
  const blocks = blocksOf(channels);

  async function ask(block: ModbusBlock): Promise<ReadonlyMap<string, number>> {
    try {
      const words = await line.read(block);
      return new Map(block.channels.map((channel) => [channel.channel, valueIn(channel, block, words)]));
    } catch (error) {
      throw named(error, block.channels, block);
    }
  }

  /** A block that is refused may have one wrong register among good ones: then each of its channels is read alone. */
  async function askEach(block: ModbusBlock): Promise<[ReadonlyMap<string, number>, FieldloomError[]]> {
    try {
      return [await ask(block), []];
    } catch (error) {
      if (!hasCode(error, 'device_refused')) throw error;
      if (block.channels.length === 1) return [new Map(), [error]];
    }
    const values = new Map<string, number>();
    const refused: FieldloomError[] = [];
    for (const channel of block.channels) {
      const [found, why] = await askEach(blockOf(channel));
      for (const [name, value] of found) values.set(name, value);
      refused.push(...why);
    }
    return [values, refused];
  }

  async function readAll() {
    const values = new Map<string, number>();
    const refused: FieldloomError[] = [];
    let takenMs: number | undefined;
    for (const block of blocks) {
      const [found, why] = await askEach(block);
      // Beans are read first: it is their time that counts.
      takenMs ??= steadyNow();
      for (const [name, value] of found) values.set(name, value);
      refused.push(...why);
    }
    return { values, refused, takenMs: takenMs ?? steadyNow() };
  }

  return {
    name: NAMES[transport.kind],
    pace: 'asked',
    async connect() {
      await line.open();
      const [refused] = (await readAll()).refused;
      if (refused !== undefined) throw refused;
    },
    disconnect: () => line.close(),
    async read() {
      const { values, refused, takenMs } = await readAll();
      if (values.size === 0 && refused[0] !== undefined) throw refused[0];
      const reading = readingOf(channels, values, takenMs);
      return refused[0] === undefined ? reading : { ...reading, problem: refused[0].message };
    },
    async write(channel, value) {
      const control = controls.find((each) => each.channel === channel);
      if (control === undefined) {
        throw new FieldloomError('invalid_input', `there is no control ${channel.slice(0, 64)}`);
      }
      return writeControl(line, control, value);
    },
    channels: () => controls.map(({ channel }) => channel),
  };
}

function valueIn(channel: ModbusChannel, block: ModbusRead, words: readonly number[]): number {
  return decodeRegister(words.slice(channel.address - block.address), channel);
}

/** A value that is no number, or no temperature, is a missing reading (roast.md "Signal"). */
function readingOf(
  channels: readonly ModbusChannel[],
  values: ReadonlyMap<string, number>,
  takenMs: number,
): DriverReading {
  const extra: Record<string, number | null> = {};
  let bt: number | null = null;
  let et: number | null = null;
  for (const { channel, unit } of channels) {
    const value = values.get(channel) ?? Number.NaN;
    const shown = unit !== null ? toCelsius(value, unit) : Number.isFinite(value) ? value : null;
    if (channel === 'bt') bt = shown;
    else if (channel === 'et') et = shown;
    else extra[channel] = shown;
  }
  return { takenMs, bt, et, extra };
}

async function writeControl(line: ModbusLine, control: ModbusControl, value: number): Promise<number> {
  const { minimum, maximum, unitId, functionCode, address } = control;
  const span = maximum - minimum;
  const wanted = minimum + value * span;
  try {
    await line.write({ unitId, functionCode, address, values: encodeRegister(wanted, control) });
  } catch (error) {
    throw named(error, [control], { unitId, functionCode, address, count: widthOf(control.type) });
  }
  // A register in whole steps cannot hold every value: what it holds is what was applied.
  const applied = (rawOf(wanted, control) * control.scale + control.offset - minimum) / span;
  return Math.min(1, Math.max(0, Math.round(applied * 1e4) / 1e4));
}

/** An error of the line, with the channels and the register that it is about. */
function named(
  error: unknown,
  channels: readonly { channel: string }[],
  request: { unitId: number; functionCode: number; address: number; count: number },
): unknown {
  if (!(error instanceof FieldloomError) || error.code === 'link_closed') return error;
  const { unitId, functionCode, address, count } = request;
  const kind = KINDS[functionCode];
  const where = count === 1 ? `${kind} ${address}` : `${kind}s ${address} to ${address + count - 1}`;
  const what = channels.map(({ channel }) => channel).join(', ');
  return new FieldloomError(
    error.code,
    `${what}, ${where} (function ${functionCode}, unit ${unitId}): ${error.message}`,
    { ...(error.details && { details: error.details }), cause: error },
  );
}
