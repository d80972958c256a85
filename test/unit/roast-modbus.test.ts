import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FieldloomError } from '../../lib/core/errors.js';
import { parseMachine } from '../../lib/roast/machine-definition.js';
import { blocksOf } from '../../lib/roast/modbus-blocks.js';
import { createModbusDriver, type ModbusLine, type ModbusWrite } from '../../lib/roast/modbus-driver.js';
import {
  decodeRegister,
  encodeRegister,
  holds,
  type Register,
  rawOf,
  widthOf,
} from '../../lib/roast/modbus-register.js';
import { parseModbus } from '../../lib/roast/modbus-settings.js';

const register = (more: Partial<Register> = {}): Register => ({
  ...{ unitId: 1, address: 0, type: 'int16', lowWordFirst: false, scale: 1, offset: 0 },
  ...more,
});
const roaster = (more: object = {}) => ({
  transport: 'tcp',
  host: '10.0.0.5',
  channels: [{ channel: 'bt', address: 0 }],
  ...more,
});

/** A device in memory. */
function line(values: Record<number, number>, refuse: (address: number) => boolean = () => false) {
  const asked: [number, number][] = [];
  const written: ModbusWrite[] = [];
  const check = (address: number) => {
    if (refuse(address)) {
      throw new FieldloomError('device_refused', 'the device answers exception 2, it has no such register');
    }
  };
  const modbus: ModbusLine = {
    async open() {},
    async close() {},
    async read({ address, count }) {
      asked.push([address, count]);
      return Array.from({ length: count }, (_, index) => {
        check(address + index);
        return values[address + index] ?? 0;
      });
    },
    async write(request) {
      check(request.address);
      written.push(request);
    },
  };
  return { modbus, asked, written };
}

describe('a Modbus register', () => {
  it('is read as its type, word order, scale and offset say', () => {
    const read = (words: number[], more: Partial<Register>) => decodeRegister(words, register(more));
    assert.equal(read([0xffff], { type: 'int16' }), -1);
    assert.equal(read([0xffff], { type: 'uint16' }), 65_535);
    assert.equal(read([0x0001, 0x86a0], { type: 'int32' }), 100_000);
    assert.equal(read([0x86a0, 0x0001], { type: 'int32', lowWordFirst: true }), 100_000);
    assert.equal(read([0xffff, 0xffff], { type: 'int32' }), -1);
    assert.equal(read([0xffff, 0xffff], { type: 'uint32' }), 4_294_967_295);
    assert.equal(read([0x4339, 0x4000], { type: 'float32' }), 185.25);
    assert.equal(read([0x4000, 0x4339], { type: 'float32', lowWordFirst: true }), 185.25);
    assert.ok(Math.abs(read([1853], { type: 'uint16', scale: 0.1 }) - 185.3) < 1e-9);
    assert.equal(read([100], { type: 'uint16', scale: 2, offset: -50 }), 150);
    assert.equal(read([1], { type: 'bit' }), 1);
    assert.ok(Number.isNaN(read([0x7fc0, 0], { type: 'float32' })));
    assert.ok(Number.isNaN(read([1], { type: 'int32' })), 'half of it is missing');
  });

  it('gives back what was written into it', () => {
    const types = ['int16', 'uint16', 'int32', 'uint32'] as const;
    fc.assert(
      fc.property(
        fc.constantFrom(...types),
        fc.boolean(),
        fc.integer({ min: -0x8000_0000, max: 0xffff_ffff }),
        fc.constantFrom(1, 0.1, 0.01, 10),
        (type, lowWordFirst, raw, scale) => {
          const at = register({ type, lowWordFirst, scale });
          const value = raw * scale;
          if (!holds(value, at)) return;
          const words = encodeRegister(value, at);
          assert.equal(words.length, widthOf(type));
          for (const word of words) assert.ok(word >= 0 && word <= 0xffff);
          assert.equal(rawOf(decodeRegister(words, at), at), raw);
        },
      ),
    );
    const float = register({ type: 'float32', lowWordFirst: true });
    assert.equal(decodeRegister(encodeRegister(-12.5, float), float), -12.5);
  });
});

describe('the settings of a Modbus roaster', () => {
  const refused = (given: object, pointer: string, message: RegExp) =>
    assert.throws(
      () => parseModbus(given, '/config/modbus'),
      (error: FieldloomError) => {
        assert.equal(error.pointer, `/config/modbus${pointer}`, error.message);
        assert.match(error.message, message);
        return true;
      },
    );

  it('are filled up with what is usual', () => {
    const { transport, timeoutMs, channels, controls } = parseModbus(
      roaster({
        unit_id: 7,
        channels: [
          { channel: 'bt', address: 3 },
          { channel: 'lid', address: 1, function_code: 2, unit_id: 9 },
        ],
        controls: [{ channel: 'burner', address: 40 }],
      }),
    );
    assert.deepEqual([transport, timeoutMs], [{ kind: 'tcp', host: '10.0.0.5', port: 502 }, 1_000]);
    const plain = { address: 3, type: 'int16', lowWordFirst: false, scale: 1, offset: 0 };
    assert.deepEqual(channels, [
      { ...plain, unitId: 7, channel: 'bt', functionCode: 3, unit: 'C' },
      { ...plain, unitId: 9, address: 1, type: 'bit', channel: 'lid', functionCode: 2, unit: null },
    ]);
    assert.deepEqual(controls, [
      {
        ...{ ...plain, unitId: 7, address: 40, type: 'uint16', channel: 'burner', functionCode: 6 },
        ...{ minimum: 0, maximum: 100 },
      },
    ]);
  });

  it('are refused with the field and what is accepted', () => {
    const channel = (more: object) => roaster({ channels: [{ channel: 'bt', address: 0, ...more }] });
    const control = (more: object) => roaster({ controls: [{ channel: 'burner', address: 0, ...more }] });
    refused({ ...roaster(), host: undefined }, '/host', /transport tcp needs a host/);
    refused(roaster({ transport: 'rtu' }), '/path', /needs a serial port/);
    refused(roaster({ transport: 'ascii' }), '/transport', /must be one of \["tcp","rtu_over_tcp","rtu"\]/);
    refused(roaster({ port: 0 }), '/port', /must be >= 1/);
    refused(roaster({ baud: 9600 }), '/baud', /additional/);
    refused({ ...roaster(), channels: undefined }, '/channels', /missing/);
    refused(roaster({ channels: [] }), '/channels', /fewer than 1/);
    refused(roaster({ channels: [{ channel: 'lid', address: 0 }] }), '/channels', /neither bt nor et/);
    refused(channel({ address: 65_536 }), '/channels/0/address', /<= 65535/);
    refused(channel({ address: 65_535, type: 'float32' }), '/channels/0/address', /accepted is 0 to 65534/);
    refused(channel({ function_code: 6 }), '/channels/0/function_code', /one of \[1,2,3,4\]/);
    refused(channel({ function_code: 1, type: 'int16' }), '/channels/0/type', /functions 3, 4, 6 and 16/);
    refused(channel({ type: 'bit' }), '/channels/0/type', /functions 1, 2, 5 and 15/);
    refused(channel({ type: 'float64' }), '/channels/0/type', /one of/);
    refused(channel({ scale: 0 }), '/channels/0/scale', /any other number/);
    refused(channel({ unit: 'K' }), '/channels/0/unit', /one of \["C","F"\]/);
    refused(control({ type: 'float32' }), '/controls/0/function_code', /accepted is 16/);
    refused(control({ minimum: 5, maximum: 5 }), '/controls/0/maximum', /more than minimum/);
    refused(control({ maximum: 70_000 }), '/controls/0/maximum', /uint16 cannot hold/);
    refused(control({ minimum: -1 }), '/controls/0/minimum', /uint16 cannot hold/);
    refused(control({ function_code: 5, maximum: 2 }), '/controls/0/type', /neither scale/);
    const twice = [
      { channel: 'bt', address: 0 },
      { channel: 'bt', address: 1 },
    ];
    refused(roaster({ channels: twice }), '/channels/1/channel', /there twice/);
  });

  it('are checked with the machine, which has none but in its config', () => {
    const machine = (config?: object) => () =>
      parseMachine({ name: 'Drum', driver: 'modbus', ...(config && { config }) }, 'm1');
    const pointerOf = (make: () => unknown) => {
      try {
        make();
        return 'accepted';
      } catch (error) {
        return (error as FieldloomError).pointer;
      }
    };
    assert.equal(pointerOf(machine()), '/config/modbus/transport');
    assert.equal(pointerOf(machine({ modbus: roaster({ port: 'x' }) })), '/config/modbus/port');
    assert.equal(pointerOf(machine({ modbus: { ...roaster(), host: undefined } })), '/config/modbus/host');
    assert.equal(pointerOf(machine({ modbus: roaster() })), 'accepted');
  });
});

describe('a Modbus roaster', () => {
  const make = (given: object, modbus: ModbusLine) =>
    createModbusDriver(parseModbus(given), modbus, () => 4_711);

  it('is read in as few requests as there are runs of registers, the beans first', () => {
    const { channels } = parseModbus(
      roaster({
        channels: [
          { channel: 'et', address: 0, type: 'float32' },
          { channel: 'inlet', address: 2 },
          { channel: 'far', address: 9 },
          { channel: 'bt', address: 20, function_code: 4 },
          { channel: 'exhaust', address: 21, function_code: 4 },
        ],
      }),
    );
    assert.deepEqual(
      blocksOf(channels).map(({ functionCode, address, count }) => [functionCode, address, count]),
      [
        [4, 20, 2],
        [3, 0, 3],
        [3, 9, 1],
      ],
    );
  });

  it('gives temperatures in °C and other channels as they are; what is none is missing', async () => {
    const given = roaster({
      channels: [
        { channel: 'bt', address: 0, type: 'uint16', scale: 0.1 },
        { channel: 'et', address: 1, unit: 'F' },
        { channel: 'drum', address: 2, scale: 0.5 },
        { channel: 'inlet', address: 3, type: 'float32', unit: 'C' },
      ],
    });
    const read = async (...words: number[]) =>
      make(given, line({ ...words } as unknown as Record<number, number>).modbus).read();
    assert.deepEqual(await read(1853, 392, 90, 0x4348, 0), {
      ...{ takenMs: 4_711, bt: 185.3, et: 200, extra: { drum: 45, inlet: 200 } },
    });
    // An open thermocouple, -1, and no number.
    assert.deepEqual(await read(0x7fff, 0xffff, 0, 0x7fc0, 0), {
      ...{ takenMs: 4_711, bt: null, et: null, extra: { drum: 0, inlet: null } },
    });
  });

  it('does not connect with a wrong register, and names it and its channel', async () => {
    const given = roaster({
      channels: [
        { channel: 'bt', address: 0 },
        { channel: 'et', address: 1, function_code: 4, unit_id: 3 },
        { channel: 'inlet', address: 1 },
        { channel: 'lid', address: 2 },
      ],
    });
    const wrong = (address: number) => make(given, line({}, (each) => each === address).modbus).connect();
    await assert.rejects(
      wrong(2),
      /^FieldloomError: lid, holding register 2 \(function 3, unit 1\): .* has no such register$/,
    );
    await assert.rejects(wrong(1), /^FieldloomError: inlet, holding register 1 \(function 3, unit 1\)/);
    await make(given, line({}).modbus).connect();
    const onlyEt = line({});
    const { read } = onlyEt.modbus;
    onlyEt.modbus.read = (request) =>
      request.functionCode === 4
        ? Promise.reject(new FieldloomError('device_refused', 'the device answers exception 2'))
        : read(request);
    await assert.rejects(make(given, onlyEt.modbus).connect(), /et, input register 1 \(function 4, unit 3\)/);
  });

  it('reads the beans on where another register is refused in mid-roast, and fails where all are', async () => {
    const given = roaster({
      channels: [
        { channel: 'bt', address: 0 },
        { channel: 'et', address: 1 },
      ],
    });
    const half = make(given, line({ 0: 180, 1: 200 }, (address) => address === 1).modbus);
    const { bt, et, problem } = await half.read();
    assert.deepEqual([bt, et], [180, null]);
    assert.match(problem ?? '', /^et, holding register 1 /);
    const none = make(given, line({}, () => true).modbus);
    await assert.rejects(none.read(), /bt, holding register 0/);
  });

  it('writes a control within its limits, and says what was applied', async () => {
    const given = roaster({
      controls: [
        { channel: 'burner', address: 5 },
        { channel: 'drum', address: 6, type: 'uint16', scale: 0.1, minimum: 20, maximum: 60 },
        { channel: 'air', address: 8, function_code: 16, type: 'float32', word_order: 'low_first' },
        { channel: 'fan', address: 1, function_code: 5 },
        { channel: 'coarse', address: 9, scale: 10, maximum: 40 },
      ],
    });
    const { modbus, written } = line({});
    const driver = make(given, modbus);
    assert.deepEqual(driver.channels(), ['burner', 'drum', 'air', 'fan', 'coarse']);
    const applied = [];
    for (const [channel, value] of [
      ['burner', 0],
      ['burner', 0.555],
      ['burner', 1],
      ['drum', 0.5],
      ['air', 0.25],
      ['fan', 0.49],
      ['fan', 0.5],
      ['coarse', 0.3],
    ] as const) {
      applied.push(await driver.write(channel, value));
    }
    assert.deepEqual(
      written.map(({ functionCode, address, values }) => [functionCode, address, ...values]),
      [
        [6, 5, 0],
        [6, 5, 56],
        [6, 5, 100],
        [6, 6, 400],
        [16, 8, 0, 0x41c8],
        [5, 1, 0],
        [5, 1, 1],
        [6, 9, 1],
      ],
    );
    assert.deepEqual(applied, [0, 0.56, 1, 0.5, 0.25, 0, 1, 0.25]);
    const refusing = make(given, line({}, () => true).modbus);
    await assert.rejects(
      refusing.write('drum', 0.5),
      /drum, holding register 6 \(function 6, unit 1\): the device answers exception 2/,
    );
  });
});
