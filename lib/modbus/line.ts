import type ModbusRTU from 'modbus-serial';
import type { Clock } from '../core/clock.js';
import { asError, FieldloomError } from '../core/errors.js';
import type { ModbusRead } from '../roast/modbus-blocks.js';
import type { ModbusLine, ModbusWrite } from '../roast/modbus-driver.js';
import type { ModbusSettings } from '../roast/modbus-settings.js';
import { type Opening, openWire, type Wire } from './transport.js';
import { createTurns } from './turns.js';

/** What a device means by an exception (Modbus Application Protocol 1.1b3, 7). */
const EXCEPTIONS: Readonly<Record<number, string>> = {
  1: 'it does not know this function',
  2: 'it has no such register',
  3: 'it does not take this value',
  4: 'it has failed',
  5: 'it needs longer',
  6: 'it is busy',
  10: 'the gateway has no path to it',
  11: 'it does not answer the gateway',
};

/** A ModbusLine by modbus-serial: Modbus TCP, serial frames over TCP, or a serial port. */
export function createModbusLine(
  { transport, timeoutMs }: Pick<ModbusSettings, 'transport' | 'timeoutMs'>,
  clock: Clock,
): ModbusLine {
  const turns = createTurns();
  let opening: Opening | undefined;
  let wire: Wire | undefined;

  function end(): void {
    opening?.end();
    opening = undefined;
    wire = undefined;
  }

  async function ask<T>(urgent: boolean, send: (client: ModbusRTU) => Promise<T>): Promise<T> {
    await turns.mine(urgent);
    if (wire === undefined) {
      turns.next();
      throw closed();
    }
    try {
      const answer = await answered(wire, send(wire.client));
      turns.next();
      return answer;
    } catch (error) {
      // Serial frames have no number: an answer that comes late must not be taken for that of the next request.
      if (error instanceof Late && transport.kind !== 'tcp') clock.setTimer(turns.next, timeoutMs);
      else turns.next();
      throw error;
    }
  }

  function answered<T>({ lost }: Wire, answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = clock.setTimer(() => reject(new Late(timeoutMs)), timeoutMs);
      lost.then(() => reject(closed()));
      answer.then(resolve, (error: unknown) => reject(explained(error))).finally(() => timer.cancel());
    });
  }

  return {
    async open() {
      end();
      const mine = openWire(transport);
      opening = mine;
      const opened = await mine.wire;
      if (opening !== mine) throw closed();
      wire = opened;
      opened.lost.then(() => {
        if (wire === opened) wire = undefined;
      });
    },
    async close() {
      end();
    },
    read: (request) => ask(false, (client) => readFrom(client, request)),
    write: (request) => ask(true, (client) => writeTo(client, request)),
  };
}

async function readFrom(client: ModbusRTU, request: ModbusRead): Promise<readonly number[]> {
  const { unitId, functionCode, address, count } = request;
  client.setID(unitId);
  switch (functionCode) {
    case 1:
      return (await client.readCoils(address, count)).data.map(Number);
    case 2:
      return (await client.readDiscreteInputs(address, count)).data.map(Number);
    case 3:
      return (await client.readHoldingRegisters(address, count)).data;
    case 4:
      return (await client.readInputRegisters(address, count)).data;
  }
}

async function writeTo(client: ModbusRTU, request: ModbusWrite): Promise<void> {
  const { unitId, functionCode, address, values } = request;
  const [first = 0] = values;
  client.setID(unitId);
  switch (functionCode) {
    case 5:
      await client.writeCoil(address, first === 1);
      return;
    case 6:
      await client.writeRegister(address, first);
      return;
    case 15:
      await client.writeCoils(
        address,
        values.map((value) => value === 1),
      );
      return;
    case 16:
      await client.writeRegisters(address, [...values]);
  }
}

class Late extends FieldloomError {
  constructor(timeoutMs: number) {
    super('not_connected', `no answer within ${timeoutMs / 1000} s`);
  }
}

const closed = () => new FieldloomError('link_closed', 'the connection to the device is closed');

function explained(error: unknown): FieldloomError {
  const { modbusCode, errno, message } = error as { modbusCode?: number; errno?: string; message: string };
  if (modbusCode !== undefined) {
    const meaning = EXCEPTIONS[modbusCode] ?? 'unknown';
    return new FieldloomError('device_refused', `the device answers exception ${modbusCode}, ${meaning}`, {
      details: { exception: modbusCode },
    });
  }
  if (errno === 'ECONNREFUSED') return closed(); // what the library says of a port that is not open
  return new FieldloomError('not_connected', `the answer is damaged: ${asError(error).message || message}`);
}
