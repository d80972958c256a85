import modbusSchema from '../../schemas/roast/modbus.schema.json';
import { FieldloomError } from '../core/errors.js';
import { compileSchema, registerSchema } from '../core/schema.js';
import { holds, type Register, type RegisterType, widthOf } from './modbus-register.js';
import type { TemperatureUnit } from './reading.js';
import type { RoastModbus } from './wire.js';

/** How the device is reached. */
export type ModbusTransport =
  /** `tcp`: Modbus TCP; `rtu_over_tcp`: serial frames through a device server. */
  | { readonly kind: 'tcp' | 'rtu_over_tcp'; readonly host: string; readonly port: number }
  | {
      readonly kind: 'rtu';
      readonly path: string;
      readonly baudRate: number;
      readonly parity: 'none' | 'even' | 'odd';
      readonly dataBits: 7 | 8;
      readonly stopBits: 1 | 2;
    };

export interface ModbusChannel extends Register {
  readonly channel: string;
  readonly functionCode: 1 | 2 | 3 | 4;
  /** Null where it is no temperature. */
  readonly unit: TemperatureUnit | null;
}

export interface ModbusControl extends Register {
  readonly channel: string;
  readonly functionCode: 5 | 6 | 15 | 16;
  /** Its value at 0 and at 1. */
  readonly minimum: number;
  readonly maximum: number;
}

export interface ModbusSettings {
  readonly transport: ModbusTransport;
  readonly timeoutMs: number;
  readonly channels: readonly ModbusChannel[];
  readonly controls: readonly ModbusControl[];
}

const DEFAULTS = { port: 502, baudRate: 19_200, unitId: 1, timeoutMs: 1_000, minimum: 0, maximum: 100 };
const OF_BITS: readonly number[] = [1, 2, 5, 15];

registerSchema(modbusSchema);
const validate = compileSchema<RoastModbus>({ $ref: modbusSchema.$id });

/**
 * The settings of a Modbus roaster.
 * @param pointer where they are in what was given
 * @throws FieldloomError schema_mismatch, invalid_input with a pointer to the field, and what is accepted
 */
export function parseModbus(given: unknown, pointer = ''): ModbusSettings {
  const checked = validate(given);
  if (!checked.valid) {
    const at = `${pointer}${checked.pointer}`;
    // The message begins with the field where it names one.
    const message = checked.message.startsWith('/') ? `${pointer}${checked.message}` : checked.message;
    throw new FieldloomError('schema_mismatch', message, { pointer: at });
  }
  const wire = checked.value;
  const settings = {
    transport: transportOf(wire, pointer),
    timeoutMs: wire.timeout_ms ?? DEFAULTS.timeoutMs,
    channels: wire.channels.map((each) => channelOf(each, wire.unit_id)),
    controls: (wire.controls ?? []).map((each) => controlOf(each, wire.unit_id)),
  };
  settings.channels.forEach((each, index) => {
    checkRegister(each, `${pointer}/channels/${index}`);
  });
  settings.controls.forEach((each, index) => {
    checkRegister(each, `${pointer}/controls/${index}`);
    checkControl(each, `${pointer}/controls/${index}`);
  });
  checkNames(settings.channels, `${pointer}/channels`);
  checkNames(settings.controls, `${pointer}/controls`);
  if (!settings.channels.some(({ channel }) => channel === 'bt' || channel === 'et')) {
    throw refuse(
      `${pointer}/channels`,
      'has neither bt nor et: accepted is a table with one of them or both',
    );
  }
  return settings;
}

const refuse = (pointer: string, text: string) =>
  new FieldloomError('invalid_input', `${pointer} ${text}`, { pointer });

function transportOf(wire: RoastModbus, pointer: string): ModbusTransport {
  const { transport, host, path } = wire;
  if (transport === 'rtu') {
    if (path === undefined) throw refuse(`${pointer}/path`, 'is missing: transport rtu needs a serial port');
    return {
      kind: 'rtu',
      path,
      baudRate: wire.baud_rate ?? DEFAULTS.baudRate,
      parity: wire.parity ?? 'none',
      dataBits: wire.data_bits ?? 8,
      stopBits: wire.stop_bits ?? 1,
    };
  }
  if (host === undefined) throw refuse(`${pointer}/host`, `is missing: transport ${transport} needs a host`);
  return { kind: transport, host, port: wire.port ?? DEFAULTS.port };
}

type Row = RoastModbus['channels'][number] | NonNullable<RoastModbus['controls']>[number];

function registerOf(row: Row, functionCode: number, type: RegisterType, unitId?: number): Register {
  return {
    unitId: row.unit_id ?? unitId ?? DEFAULTS.unitId,
    address: row.address,
    type: row.type ?? (OF_BITS.includes(functionCode) ? 'bit' : type),
    lowWordFirst: row.word_order === 'low_first',
    scale: row.scale ?? 1,
    offset: row.offset ?? 0,
  };
}

function channelOf(row: RoastModbus['channels'][number], unitId?: number): ModbusChannel {
  const { channel, function_code: functionCode = 3, unit } = row;
  const temperature = channel === 'bt' || channel === 'et';
  return {
    ...registerOf(row, functionCode, 'int16', unitId),
    channel,
    functionCode,
    unit: unit ?? (temperature ? 'C' : null),
  };
}

function controlOf(row: NonNullable<RoastModbus['controls']>[number], unitId?: number): ModbusControl {
  const { channel, function_code: functionCode = 6 } = row;
  const coil = OF_BITS.includes(functionCode);
  return {
    ...registerOf(row, functionCode, 'uint16', unitId),
    channel,
    functionCode,
    minimum: row.minimum ?? DEFAULTS.minimum,
    maximum: row.maximum ?? (coil ? 1 : DEFAULTS.maximum),
  };
}

function checkRegister(
  { functionCode, type, address, scale }: ModbusChannel | ModbusControl,
  at: string,
): void {
  if (OF_BITS.includes(functionCode) !== (type === 'bit')) {
    const accepted = type === 'bit' ? '1, 2, 5 and 15' : '3, 4, 6 and 16';
    throw refuse(
      `${at}/type`,
      `is ${type} with function ${functionCode}: accepted with functions ${accepted}`,
    );
  }
  if (functionCode === 6 && widthOf(type) === 2) {
    throw refuse(`${at}/function_code`, `is 6 with ${type}: accepted is 16, which writes two registers`);
  }
  if (address + widthOf(type) > 0x1_0000) {
    throw refuse(`${at}/address`, `is ${address} with ${type}: accepted is 0 to ${0x1_0000 - widthOf(type)}`);
  }
  if (scale === 0) throw refuse(`${at}/scale`, 'is 0: accepted is any other number');
}

function checkControl(control: ModbusControl, at: string): void {
  const { minimum, maximum, type, scale, offset } = control;
  if (minimum >= maximum) {
    throw refuse(`${at}/maximum`, `is ${maximum}: accepted is more than minimum, which is ${minimum}`);
  }
  if (type === 'bit' && (minimum !== 0 || maximum !== 1 || scale !== 1 || offset !== 0)) {
    throw refuse(`${at}/type`, 'is bit: accepted is neither scale and offset nor minimum and maximum');
  }
  for (const [name, value] of [
    ['minimum', minimum],
    ['maximum', maximum],
  ] as const) {
    if (!holds(value, control)) {
      throw refuse(`${at}/${name}`, `is ${value}, which ${type} cannot hold with scale ${scale}`);
    }
  }
}

function checkNames(rows: readonly { channel: string }[], at: string): void {
  rows.forEach(({ channel }, index) => {
    if (rows.findIndex((row) => row.channel === channel) < index) {
      throw refuse(`${at}/${index}/channel`, `is ${channel}, which is there twice`);
    }
  });
}
