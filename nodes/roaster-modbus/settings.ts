import { type ModbusSettings, parseModbus } from '../../lib/roast/modbus-settings.js';

/** As the editor keeps it: single settings in text, tables as they are in schemas/roast/modbus.schema.json. */
export interface Config {
  machine: string;
  /** Seconds. */
  interval: string;
  transport: string;
  host: string;
  port: string;
  path: string;
  baudRate: string;
  parity: string;
  dataBits: string;
  stopBits: string;
  unitId: string;
  /** Milliseconds. */
  timeout: string;
  channels: object[];
  controls: object[];
}

/** @throws FieldloomError schema_mismatch, invalid_input: the field and what is accepted */
export function modbusSettings(config: Config): ModbusSettings {
  const { transport, host, path, parity, channels, controls } = config;
  const line = transport === 'rtu' ? { path, parity } : { host };
  const numbers =
    transport === 'rtu'
      ? { baud_rate: config.baudRate, data_bits: config.dataBits, stop_bits: config.stopBits }
      : { port: config.port };
  return parseModbus({
    transport,
    ...given(line),
    ...given({ ...numbers, unit_id: config.unitId, timeout_ms: config.timeout }, Number),
    channels,
    controls: controls ?? [],
  });
}

/** What is left empty has its usual value. */
function given(settings: Record<string, string | undefined>, read: (text: string) => unknown = String) {
  return Object.fromEntries(
    Object.entries(settings)
      .filter(([, text]) => text !== undefined && String(text).trim() !== '')
      .map(([name, text]) => [name, read(String(text).trim())]),
  );
}
