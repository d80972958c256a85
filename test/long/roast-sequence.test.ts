import assert from 'node:assert/strict';
import { Gateway } from '../support/gateway.js';
import { ModbusDevice } from '../support/modbus.js';
import { askRoast, Hardware, installRoastFlow, RoastSocket } from '../support/roast-gateway.js';

describe('a typical roast, as the protocol writes it down', function () {
  this.timeout(60_000);
  let gateway: Gateway;
  let hardware: Hardware | undefined;
  const ask = (method: string, path: string, body?: unknown) => askRoast(gateway, method, path, body);

  before(async () => {
    gateway = await Gateway.create();
    await installRoastFlow(gateway);
    await gateway.start();
  });
  after(async () => {
    hardware?.stop();
    await gateway.remove();
  });

  it('goes message for message from connect to the saved profile', async () => {
    const made = await ask('POST', '/api/machines', {
      ...{ id: 'm1', name: 'Drum', driver: 'flow', sampling_interval_ms: 1000 },
    });
    assert.equal(made.status, 201);
    assert.equal((await ask('POST', '/api/machines/m1/connect')).status, 200);
    hardware = new Hardware(gateway, 'm1');

    const browser = await RoastSocket.open(gateway.url, 'm1');
    assert.deepEqual(await browser.next(), {
      ...{ type: 'connection', driver_state: 'connected', driver_name: 'Flow', message: '' },
    });
    const idle = await browser.next();
    assert.deepEqual([idle.type, idle['state'], idle['session_id']], ['state', 'idle', null]);

    browser.say({ type: 'command', action: 'start_monitoring' });
    const monitoring = await browser.next();
    assert.deepEqual(
      [monitoring.type, monitoring['state'], monitoring['previous_state'], monitoring['lock']],
      ['state', 'monitoring', 'idle', 'yours'],
    );
    const reading = await browser.until(({ type }) => type === 'temperature');
    assert.deepEqual([reading['bt'], reading['et']], [200, 210.5]);
    assert.deepEqual(Object.keys(reading).sort(), [
      ...['bt', 'bt_ror', 'et', 'et_ror', 'extra_channels', 'timestamp_ms', 'type'],
    ]);

    browser.say({ type: 'command', action: 'start_recording' });
    const recording = await browser.next();
    assert.deepEqual([recording['state'], recording['previous_state']], ['recording', 'monitoring']);
    assert.notEqual(recording['session_id'], monitoring['session_id'], 'another clock');
    const first = await browser.until(({ type }) => type === 'temperature');
    assert.ok(first.timestamp_ms < 1000, 'time begins anew');

    // No break can be told of a line that is not there yet.
    await browser.until(({ type, timestamp_ms }) => type === 'temperature' && timestamp_ms >= 5000);
    hardware.charge();
    const charge = await browser.next();
    assert.deepEqual([charge.type, charge['event_type'], charge['auto_detected']], ['event', 'CHARGE', true]);
    assert.ok(Math.abs((charge['bt_at_event'] as number) - 200) < 5);
    assert.ok(charge.timestamp_ms < (charge['detected_at_ms'] as number), 'it is backdated to the break');

    browser.say({ type: 'control', channel: 'burner', value: 0.7 });
    assert.deepEqual(await browser.next(), {
      ...{ type: 'control_ack', channel: 'burner', value: 0.7, applied: true, message: '' },
    });
    assert.deepEqual(await hardware.written(), [['m1', 'burner', 0.7]]);

    await hardware.send({ event: 'FCs' });
    const crack = await browser.next();
    assert.deepEqual([crack['event_type'], crack['auto_detected']], ['FCs', true]);

    browser.say({ type: 'command', action: 'mark_event', event_type: 'DROP' });
    const drop = await browser.next();
    assert.deepEqual([drop['event_type'], drop['auto_detected']], ['DROP', false]);

    browser.say({ type: 'command', action: 'stop_recording' });
    const finished = await browser.next();
    assert.deepEqual([finished['state'], finished['previous_state']], ['finished', 'recording']);
    assert.equal(finished['session_id'], recording['session_id']);

    const saved = await ask('POST', '/api/profiles', { machine_id: 'm1', name: 'Yirgacheffe' });
    assert.equal(saved.status, 201);
    const profile = (await ask('GET', `/api/profiles/${saved.body.id}`)).body;
    assert.equal(profile.name, 'Yirgacheffe');
    assert.deepEqual(
      profile.events.map(({ event_type }: { event_type: string }) => event_type),
      ['CHARGE', 'FCs', 'DROP'],
    );
    assert.equal(profile.controls[0].channel, 'burner');
    const seen = browser.all.filter(({ type, timestamp_ms }) => type === 'temperature' && timestamp_ms >= 0);
    const recorded = seen.slice(seen.findIndex(({ timestamp_ms }) => timestamp_ms === first.timestamp_ms));
    assert.deepEqual(
      profile.samples.map(({ timestamp_ms, bt }: { timestamp_ms: number; bt: number }) => [timestamp_ms, bt]),
      recorded.map(({ timestamp_ms, bt }) => [timestamp_ms, bt]),
      'what was saved is what was seen',
    );
    for (const format of ['alog', 'csv', 'json']) {
      const answer = await fetch(`${gateway.url}/api/profiles/${saved.body.id}/export?format=${format}`);
      assert.equal(answer.status, 200);
      assert.match(answer.headers.get('content-disposition') ?? '', new RegExp(`Yirgacheffe\\.${format}`));
    }
    await browser.end();
  });

  it('goes on a Modbus roaster too, whose tables are checked as it is added', async () => {
    const device = await new ModbusDevice().start();
    device.inputs.set(0, 1853).set(1, 2105);
    device.holding.set(20, 0);
    const machine = (modbus: object) => ({
      id: 'm2',
      name: 'Modbus drum',
      driver: 'modbus',
      config: { modbus },
    });
    const tables = {
      ...{ transport: 'tcp', host: '127.0.0.1', port: device.port },
      channels: [
        { channel: 'bt', function_code: 4, address: 0, scale: 0.1 },
        { channel: 'et', function_code: 4, address: 1, scale: 0.1 },
      ],
      controls: [{ channel: 'burner', address: 20 }],
    };
    const [bt, et] = tables.channels;
    const wrong = await ask(
      'POST',
      '/api/machines',
      machine({ ...tables, channels: [{ ...bt, scale: 'x' }] }),
    );
    assert.equal(wrong.status, 400);
    assert.match(wrong.body.error.message, /\/config\/modbus\/channels\/0\/scale must be number/);
    assert.equal(
      (await ask('POST', '/api/machines', machine({ ...tables, channels: [bt, { ...et, address: 7 }] })))
        .status,
      201,
    );
    const refused = await ask('POST', '/api/machines/m2/connect');
    assert.equal(refused.status, 503);
    assert.match(refused.body.error.message, /et, input register 7 .* has no such register/);
    assert.equal((await ask('PUT', '/api/machines/m2', machine(tables))).status, 200);
    assert.equal((await ask('POST', '/api/machines/m2/connect')).status, 200);
    const browser = await RoastSocket.open(gateway.url, 'm2');
    browser.say({ type: 'command', action: 'start_monitoring' });
    const reading = await browser.until(({ type }) => type === 'temperature');
    assert.deepEqual([reading['bt'], reading['et']], [185.3, 210.5]);
    browser.say({ type: 'control', channel: 'burner', value: 0.355 });
    const ack = await browser.until(({ type }) => type === 'control_ack');
    assert.deepEqual([ack['applied'], ack['value']], [true, 0.36]);
    assert.deepEqual(device.written, [[20, 36]]);
    await browser.end();
    await device.stop();
  });
});
