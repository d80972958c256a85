import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemClock } from '../../lib/core/clock.js';
import { createModbusLine } from '../../lib/modbus/line.js';
import type { RoastDriver } from '../../lib/roast/driver.js';
import { createModbusDriver } from '../../lib/roast/modbus-driver.js';
import { parseModbus } from '../../lib/roast/modbus-settings.js';
import { fakeClock } from '../support/fake-clock.js';
import { ModbusDevice, SerialGateway, until } from '../support/modbus.js';
import { freePort } from '../support/ports.js';
import { command, machineBench, settled } from '../support/roast-machine.js';

const TABLE = {
  channels: [
    { channel: 'bt', address: 0, function_code: 4, scale: 0.1 },
    { channel: 'et', address: 1, function_code: 4, type: 'float32', word_order: 'low_first' },
    { channel: 'drum', address: 10, function_code: 3, type: 'uint16' },
    { channel: 'lid', address: 5, function_code: 1 },
    { channel: 'flame', address: 6, function_code: 2 },
  ],
  controls: [
    { channel: 'burner', address: 20, function_code: 6 },
    { channel: 'air', address: 21, function_code: 16, type: 'float32' },
    { channel: 'cooler', address: 7, function_code: 5 },
    { channel: 'door', address: 8, function_code: 15 },
  ],
};

function fill(device: ModbusDevice): ModbusDevice {
  for (const [address, word] of [1853, 0x4000, 0x4352].entries()) device.inputs.set(address, word);
  for (const address of [10, 20, 21, 22]) device.holding.set(address, 45);
  for (const address of [5, 6, 7, 8]) device.coils.set(address, address === 6);
  return device;
}

const READ = { bt: 185.3, et: 210.25, extra: { drum: 45, lid: 0, flame: 1 } };

describe('a Modbus roaster on the network', () => {
  let device: ModbusDevice;
  const drivers: RoastDriver[] = [];

  function driverOf(more: object, clock = systemClock, steadyNow = () => performance.now()): RoastDriver {
    const settings = parseModbus({ transport: 'tcp', host: '127.0.0.1', ...TABLE, ...more });
    const driver = createModbusDriver(settings, createModbusLine(settings, clock), steadyNow);
    drivers.push(driver);
    return driver;
  }

  beforeEach(async () => {
    device = await fill(new ModbusDevice()).start();
  });
  afterEach(async () => {
    for (const driver of drivers.splice(0)) await driver.disconnect();
    await device.stop();
  });

  async function readsAndWrites(driver: RoastDriver): Promise<void> {
    await driver.connect();
    const { bt, et, extra } = await driver.read();
    assert.deepEqual({ bt, et, extra }, READ);
    for (const channel of driver.channels()) assert.equal(await driver.write(channel, 1), 1);
    assert.deepEqual(device.written, [
      [20, 100],
      [21, 0x42c8],
      [22, 0],
      [7, true],
      [8, true],
    ]);
  }

  it('is read and written by Modbus TCP', () => readsAndWrites(driverOf({ port: device.port })));

  it('is read and written by serial frames through a device server', async () => {
    const gateway = await new SerialGateway(device).start();
    await readsAndWrites(driverOf({ transport: 'rtu_over_tcp', port: gateway.port }));
    await gateway.stop();
  });

  it('takes no late answer of a serial line for that of the next request', async () => {
    const gateway = await new SerialGateway(device).start();
    const channels = [
      { channel: 'bt', address: 10 },
      { channel: 'et', address: 20 },
    ];
    device.holding.set(20, 99);
    const driver = driverOf({ transport: 'rtu_over_tcp', port: gateway.port, timeout_ms: 60, channels });
    await driver.connect();
    gateway.held = [];
    await assert.rejects(driver.read(), /bt, holding register 10 .*: no answer within 0.06 s/);
    const { held } = gateway;
    gateway.held = undefined;
    const next = driver.read();
    for (const late of held) late();
    const { bt, et } = await next;
    assert.deepEqual([bt, et], [45, 99]);
    await gateway.stop();
  });

  it('writes a control between two reads, not after all of them', async () => {
    const driver = driverOf({ port: device.port });
    await driver.connect();
    const order: string[] = [];
    const reads = [driver.read(), driver.read(), driver.read()].map((read) =>
      read.then(() => order.push('read')),
    );
    await driver.write('burner', 0.3).then(() => order.push('written'));
    await Promise.all(reads);
    assert.equal(order[0], 'written');
  });

  it('names where it cannot be reached, and the register that is wrong', async () => {
    const port = await freePort();
    await assert.rejects(
      driverOf({ port }).connect(),
      new RegExp(`127.0.0.1 port ${port} cannot be reached: ECONNREFUSED`),
    );
    const channels = [...TABLE.channels, { channel: 'inlet', address: 4711 }];
    await assert.rejects(
      driverOf({ port: device.port, channels }).connect(),
      /inlet, holding register 4711 \(function 3, unit 1\): the device answers exception 2, it has no such register/,
    );
    const controls = [{ channel: 'burner', address: 4712 }];
    const driver = driverOf({ port: device.port, controls });
    await driver.connect();
    await assert.rejects(driver.write('burner', 0.5), /burner, holding register 4712 \(function 6, unit 1\)/);
  });

  for (const fault of ['gone', 'silent'] as const) {
    it(`tells one error and one recovery where the device is ${fault} for 30 s, and the recording goes on`, async () => {
      const clock = fakeClock();
      const begun = clock.now() - 5_000;
      const modbus = driverOf({ port: device.port }, clock, () => clock.now() - begun);
      let pending = 0;
      const counted = <T>(work: Promise<T>): Promise<T> => {
        pending += 1;
        return work.finally(() => {
          pending -= 1;
        });
      };
      const bench = await machineBench({
        clock,
        driver: () => ({
          ...modbus,
          connect: () => counted(modbus.connect()),
          read: () => counted(modbus.read()),
        }),
      });
      const pass = async (seconds: number) => {
        for (let step = 0; step < seconds * 10; step += 1) {
          clock.advance(100);
          await settled();
          // What a silent device is asked for ends by the clock alone.
          if (!device.silent) await until(() => pending === 0);
          await settled();
        }
      };
      await until(() => bench.machine.driverState.state === 'connected');
      const one = bench.watch('one');
      await bench.say(one, command('start_monitoring'));
      await bench.say(one, command('start_recording'));
      await pass(10);
      const before = one.of('temperature').length;
      assert.ok(before >= 10);
      assert.deepEqual(one.of('error'), []);

      if (fault === 'gone') await device.stop();
      else device.silent = true;
      await pass(30);
      assert.equal(one.of('error').length, 1, JSON.stringify(one.of('error')));
      assert.equal(one.of('temperature').length, before);
      assert.equal(bench.machine.phase, 'recording');
      assert.match(
        bench.machine.driverState.message,
        fault === 'gone' ? /ECONNREFUSED/ : /no answer within 1 s/,
      );
      await bench.say(one, { type: 'control', channel: 'burner', value: 0.5 });
      assert.equal(one.of('control_ack').at(-1)?.applied, false);

      if (fault === 'gone') await device.start();
      device.silent = false;
      // The next attempt is at most 30 s and its jitter away.
      await pass(40);
      const states = one.of('connection').map(({ driver_state }) => driver_state);
      assert.equal(states.filter((state) => state === 'connected').length, 2, 'at first, and again');
      assert.equal(states.at(-1), 'connected');
      assert.deepEqual(
        one.of('error').map(({ code }) => code),
        [fault === 'gone' ? 'DRIVER_DISCONNECTED' : 'DRIVER_READ_FAILED', 'DRIVER_WRITE_FAILED'],
      );
      assert.ok(one.of('temperature').length > before);
      assert.equal(bench.machine.phase, 'recording');
      await bench.say(one, { type: 'control', channel: 'burner', value: 0.7 });
      await until(() => one.of('control_ack').length === 2);
      assert.equal(one.of('control_ack')[1]?.applied, true);
      await bench.machine.close(1000, 'done');
    });
  }

  it('says what to install where the package for serial ports is missing; the rest works without it', async () => {
    const script = `
      const Module = require('node:module');
      const load = Module._load;
      Module._load = function (name, ...rest) {
        if (name === 'serialport') throw Object.assign(new Error("Cannot find module 'serialport'"), { code: 'MODULE_NOT_FOUND' });
        return load.call(this, name, ...rest);
      };
      const { createModbusLine } = require('./lib/modbus/line.js');
      const { systemClock } = require('./lib/core/clock.js');
      const rtu = { kind: 'rtu', path: '/dev/none', baudRate: 9600, parity: 'none', dataBits: 8, stopBits: 1 };
      const tcp = { kind: 'tcp', host: '127.0.0.1', port: ${device.port} };
      (async () => {
        await createModbusLine({ transport: rtu, timeoutMs: 1000 }, systemClock).open().catch((error) => console.log(error.code, error.message));
        const line = createModbusLine({ transport: tcp, timeoutMs: 1000 }, systemClock);
        await line.open();
        console.log(...await line.read({ unitId: 1, functionCode: 4, address: 0, count: 1 }));
        await line.close();
      })();`;
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], {
      cwd: join(__dirname, '../..'),
    });
    const [missing, read] = stdout.trim().split('\n');
    assert.match(
      missing ?? '',
      /^missing_setting transport rtu needs the npm package serialport.*npm install serialport/,
    );
    assert.equal(read, '1853');
  });
});
