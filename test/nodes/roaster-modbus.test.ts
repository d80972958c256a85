import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import roasterModbus from '../../nodes/roaster-modbus/roaster-modbus.js';
import {
  errorsOf,
  type LoadedFlow,
  loadFlow,
  startRuntime,
  stopRuntime,
  unloadFlow,
} from '../support/flow.js';
import { ModbusDevice, until } from '../support/modbus.js';

describe('the node roaster-modbus', function () {
  this.timeout(30_000);
  let directory: string;
  let device: ModbusDevice;
  let flow: LoadedFlow;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fieldloom-modbus-'));
    await startRuntime(directory);
  });
  after(async () => {
    await stopRuntime();
    await rm(directory, { recursive: true, force: true });
  });
  beforeEach(async () => {
    device = new ModbusDevice();
    for (const [address, word] of [1853, 2102, 45].entries()) device.inputs.set(address, word);
    device.holding.set(20, 0);
    await device.start();
  });
  afterEach(async () => {
    await unloadFlow();
    await device.stop();
  });

  /** Loads the node with these settings beside those of a form that was filled in. */
  async function load(more: object = {}): Promise<void> {
    flow = await loadFlow(
      [roasterModbus],
      [
        {
          id: 'roaster',
          type: 'fieldloom-roaster-modbus',
          machine: 'm1',
          interval: '0.05',
          transport: 'tcp',
          host: '127.0.0.1',
          port: String(device.port),
          unitId: '',
          timeout: '500',
          channels: [
            { channel: 'bt', function_code: 4, address: 0, scale: 0.1 },
            { channel: 'et', function_code: 4, address: 1, scale: 0.1 },
            { channel: 'drum', function_code: 4, address: 2 },
          ],
          controls: [{ channel: 'burner', function_code: 6, address: 20 }],
          ...more,
          wires: [['readings'], ['connection']],
        } as never,
        { id: 'readings', type: 'helper' },
        { id: 'connection', type: 'helper' },
      ],
    );
  }

  it('gives temperatures and says that it is connected', async () => {
    await load();
    const { machine_id, payload } = (await flow.message('readings', 2)) as {
      machine_id?: string;
      payload: object;
    };
    assert.deepEqual([machine_id, payload], ['m1', { bt: 185.3, et: 210.2, drum: 45 }]);
    const { payload: state } = flow.received('connection').at(-1) ?? {};
    assert.deepEqual(state, { driver_state: 'connected', message: '' });
  });

  it('writes controls, and refuses what is none or what the device does not take', async () => {
    await load({
      controls: [
        { channel: 'burner', address: 20 },
        { channel: 'air', address: 21 },
      ],
    });
    await flow.message('readings');
    await flow.send('roaster', { channel: 'burner', payload: 0.25 });
    assert.deepEqual(device.written, [[20, 25]]);
    const refused = (message: object) =>
      flow.send('roaster', message).then(
        () => 'taken',
        (error: Error & { code: string }) => `${error.code} ${error.message}`,
      );
    assert.match(
      await refused({ channel: 'steam', payload: 0.5 }),
      /invalid_input .*accepted is burner, air/,
    );
    assert.match(await refused({ channel: 'burner', payload: 1.5 }), /invalid_input .*accepted is 0 to 1/);
    assert.match(await refused({ payload: 0.5 }), /invalid_input msg.channel is undefined/);
    assert.match(await refused({ channel: 'air', payload: 0.5 }), /not_connected air, holding register 21/);
  });

  it('reports a lost device once, and goes on when it is back', async () => {
    await load();
    await flow.message('readings');
    await device.stop();
    await until(() => errorsOf('roaster').length > 0);
    const before = flow.received('readings').length;
    await device.start();
    await flow.message('readings', before + 1);
    assert.equal(errorsOf('roaster').length, 1);
    const states = flow
      .received('connection')
      .map(({ payload }) => (payload as { driver_state: string }).driver_state);
    assert.equal(states.at(-1), 'connected');
  });

  it('names a setting that is wrong, and a register', async () => {
    await load({ port: '70000' });
    assert.match(errorsOf('roaster')[0] ?? '', /\/port must be <= 65535/);
    await unloadFlow();
    await load({ channels: [{ channel: 'bt', address: 4711 }] });
    await until(() => errorsOf('roaster').length > 0);
    assert.match(errorsOf('roaster')[0] ?? '', /bt, holding register 4711 \(function 3, unit 1\)/);
  });
});
