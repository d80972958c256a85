import assert from 'node:assert/strict';
import { createProfile, type ProfileSettings } from '../../lib/command/profile.js';
import { COMMAND_ID, DEVICE, FEED, SEED_TIME } from '../support/command.js';

const prepare = (settings: ProfileSettings, request: object) =>
  createProfile(settings).prepare({ ...FEED, ...request }, COMMAND_ID, SEED_TIME);

describe('the pond profile', () => {
  const pond = { profile: 'pond' } as const;

  it('puts a prefix before both topics, with or without a slash at its end', () => {
    for (const prefix of ['farm', 'farm/']) {
      const profile = createProfile({ ...pond, prefix });
      assert.equal(profile.ackFilter, 'farm/devices/+/ack');
      const { topic, device } = profile.prepare(FEED, COMMAND_ID, SEED_TIME);
      assert.deepEqual([topic, device], [`farm/devices/${DEVICE}/commands`, DEVICE]);
    }
  });

  it('takes the device’s name by its topic name too', () => {
    const values = { device_id: 'pump-1', pond_position: 2 };
    assert.equal(prepare(pond, { device: undefined, values }).device, 'pump-1');
  });

  it('keeps what the asker says of action and timestamp', () => {
    const parameters = { action: 'feed', amount: 5, timestamp: 'noon' };
    assert.deepEqual(prepare(pond, { parameters }).parameters, parameters);
  });

  for (const [name, request, pointer, message] of [
    ['an amount that is not above 0', { parameters: { amount: 0 } }, '/parameters/amount', /must be > 0/],
    ['an amount that is text', { parameters: { amount: '5' } }, '/parameters/amount', /must be number/],
    ['no amount', { parameters: {} }, '/parameters/amount', /is missing/],
    [
      'a valve that is to explode',
      { commandType: 'WATER_VALVE', parameters: { action: 'explode' } },
      '/parameters/action',
      /"open","close"/,
    ],
    [
      'a type that it does not know',
      { commandType: 'DANCE' },
      '/command_type',
      /accepted is FEED, WATER_VALVE/,
    ],
    ['no type', { commandType: '' }, '/command_type', /accepted is text/],
    ['no position', { values: {} }, '/pond_position', /accepted is a whole number/],
    ['position 1.5', { values: { pond_position: 1.5 } }, '/pond_position', /accepted is a whole number/],
    ['parameters that are a list', { parameters: [] }, '/parameters', /accepted is an object/],
    ['no device', { device: undefined }, '/device_id', /accepted is text/],
    ['a device with an endless name', { device: 'x'.repeat(300) }, '/device', /1 to 255/],
  ] as const) {
    it(`refuses ${name}, naming the field`, () => {
      assert.throws(() => prepare(pond, request), { code: 'invalid_input', pointer, message });
    });
  }

  it('refuses a device whose name would be a wildcard, and a command that is too large to keep', () => {
    assert.throws(() => prepare(pond, { device: '+' }), { code: 'invalid_topic_parameter' });
    const parameters = { amount: 1, note: 'x'.repeat(70_000) };
    assert.throws(() => prepare(pond, { parameters }), { code: 'invalid_input', message: /65535 bytes/ });
  });

  it('takes further types with their schemas, the same one in two nodes too', () => {
    const AERATE = { $id: 'aerate', type: 'object', required: ['minutes'] };
    for (let node = 0; node < 2; node += 1) {
      const settings = { ...pond, parameterSchemas: { AERATE } };
      assert.ok(prepare(settings, { commandType: 'AERATE', parameters: { minutes: 5 } }));
      assert.throws(() => prepare(settings, { commandType: 'AERATE', parameters: {} }), {
        pointer: '/parameters/minutes',
      });
      assert.ok(prepare(settings, {}), 'its own are still there');
    }
  });

  it('reads an acknowledgement’s long message in part', () => {
    const message = 'x'.repeat(5_000);
    const { readAck } = createProfile(pond);
    const read = readAck(Buffer.from(JSON.stringify({ command_id: COMMAND_ID, message })));
    assert.equal(read.message?.length, 2_000);
    const zero = readAck(Buffer.from(`{"command_id":"${COMMAND_ID}","message":"a\\u0000b"}`));
    assert.equal(zero.message, 'a\ufffdb', 'not every database takes the character 0');
  });
});

describe('the solar profile', () => {
  const solar = { profile: 'solar' } as const;

  it('knows machines by company and machine', () => {
    const request = { values: { company_id: 'acme', machine_id: 7 }, device: undefined, commandType: 'stop' };
    const prepared = prepare(solar, { ...request, parameters: {} });
    assert.deepEqual(
      [prepared.device, prepared.topic, prepared.payload],
      ['acme/7', 'company/acme/machine/7/command', '{"command":"stop","params":{}}'],
    );
    const profile = createProfile(solar);
    assert.deepEqual([profile.acknowledged, profile.ackFilter], [false, undefined]);
    assert.throws(() => prepare(solar, { device: 'acme' }), { pointer: '/company_id' });
  });
});

describe('the custom profile', () => {
  const custom: ProfileSettings = {
    profile: 'custom',
    commandTopic: '/plant/{site}/valve/{valve}/set',
    ackTopic: '/plant/{site}/valve/{valve}/done',
    commandFields: { id: 'ref', type: 'op', parameters: 'args', timestamp: '', expiresAt: '' },
    ackFields: { id: 'ref', success: 'ok', message: 'text' },
  };

  it('writes and reads under the names that are set, with all further values', () => {
    const profile = createProfile(custom);
    const values = { site: 'north', valve: 3, zone: 'a' };
    const request = { device: '', commandType: 'open', parameters: { percent: 50 }, values };
    const prepared = profile.prepare(request, COMMAND_ID, SEED_TIME);
    assert.deepEqual(
      [prepared.device, prepared.topic, prepared.payload],
      [
        'north/3',
        '/plant/north/valve/3/set',
        `{"ref":"${COMMAND_ID}","op":"open","zone":"a","args":{"percent":50}}`,
      ],
    );
    const read = profile.readAck(Buffer.from(`{"ref":"${COMMAND_ID}","ok":false,"text":"stuck"}`));
    assert.deepEqual(read, { commandId: COMMAND_ID, success: false, message: 'stuck' });
    assert.throws(() => profile.readAck(Buffer.from('{"ref":"a","ok":"no"}')), { pointer: '/ok' });
    const fromIt = profile.matchAck('/plant/north/valve/3/done') ?? {};
    const fromAnother = profile.matchAck('/plant/north/valve/4/done') ?? {};
    assert.equal(profile.isFrom(prepared.topic, fromIt), true);
    assert.equal(profile.isFrom(prepared.topic, fromAnother), false);
    assert.equal(profile.deviceOf(fromAnother), 'north/4');
  });

  it('may hear of many devices on one topic, and then believes whoever knows the id', () => {
    const profile = createProfile({ ...custom, ackTopic: 'done' });
    assert.equal(profile.isFrom('/plant/north/valve/3/set', profile.matchAck('done') ?? {}), true);
  });

  it('without an acknowledgement topic expects none', () => {
    assert.equal(createProfile({ ...custom, ackTopic: '' }).acknowledged, false);
  });

  for (const [name, settings, message] of [
    ['no topic', { commandTopic: '' }, /command topic is ""/],
    ['acknowledgements without a name for the id', { ackFields: { id: '' } }, /field of the id/],
    ['commands without a name for the type', { commandFields: { type: '' } }, /field of the type/],
    ['a schema that is none', { parameterSchemas: { open: { type: 'thing' } } }, /parameter schema of open/],
    ['a profile that there is not', { profile: 'lake' }, /pond, solar or custom/],
  ] as const) {
    it(`says that there is ${name}`, () => {
      assert.throws(() => createProfile({ ...custom, ...settings } as ProfileSettings), {
        code: 'invalid_setting',
        message,
      });
    });
  }
});
