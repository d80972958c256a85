import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FieldloomError } from '../../lib/core/errors.js';
import {
  channelOf,
  type FirmwareChannel,
  type FirmwareEventType,
  firmwareTopic,
  format,
  parse,
} from '../../lib/firmware/codec.js';
import { CONTROLLER_ID, STORE_ID } from '../support/seed.js';

const samples = join(__dirname, '../../../schemas/firmware');
const parameters = { store_id: STORE_ID, controller_id: CONTROLLER_ID };
const SEED_TIME = Date.parse('2024-01-15T15:30:25+07:00');
const namesIn = (folder: string) =>
  readdirSync(join(samples, folder))
    .filter((name) => name.endsWith('.json') && name !== 'index.json')
    .map((name) => name.replace('.json', ''));
const sample = (folder: string, name: string) => readFileSync(join(samples, folder, `${name}.json`));
const eventOf = (payload: Buffer) => JSON.parse(payload.toString()).event_type as FirmwareEventType;

/** The six messages of the document, each in a sample of its own name. */
const SEED_SAMPLES = [
  'update-firmware',
  'update-firmware-ack',
  'update-firmware-completed',
  'update-firmware-failed',
  'cancel-update-firmware',
  'cancel-update-firmware-ack',
];

describe('the firmware messages and their schemas', () => {
  for (const name of namesIn('valid')) {
    it(`accepts ${name}, and keeps it as it came`, () => {
      const payload = sample('valid', name);
      const message = parse(channelOf(eventOf(payload)), parameters, payload, SEED_TIME);
      assert.deepEqual(message.original, JSON.parse(payload.toString()));
      assert.equal(message.deploymentId, '7f56308b-3e98-4faf-8a61-ead5d139a5b1');
      assert.deepEqual([message.storeId, message.controllerId], [STORE_ID, CONTROLLER_ID]);
    });
  }

  for (const name of SEED_SAMPLES) {
    it(`writes ${name} field by field as in the document, by a clock seven hours east`, () => {
      const payload = sample('valid', name);
      const message = parse(channelOf(eventOf(payload)), parameters, payload, SEED_TIME);
      assert.equal(format(message, 420), JSON.stringify(JSON.parse(payload.toString())));
    });
  }

  it('keeps digest and signature of an image through reading and writing', () => {
    const payload = sample('valid', 'update-with-digest-and-signature');
    const message = parse('action', parameters, payload, SEED_TIME);
    assert.equal(format(message, 420), JSON.stringify(JSON.parse(payload.toString())));
  });

  it('puts acknowledgements on ack and all else on action, behind a prefix where there is one', () => {
    assert.equal(channelOf('update_firmware_ack'), 'ack');
    assert.equal(channelOf('cancel_update_firmware_ack'), 'ack');
    for (const type of [
      'update_firmware',
      'cancel_update_firmware',
      'update_firmware_completed',
      'update_firmware_failed',
    ] as const) {
      assert.equal(channelOf(type), 'action');
    }
    assert.equal(firmwareTopic('ack').filter, '/stores/+/controllers/+/ack');
    assert.equal(
      firmwareTopic('action', 'lms/').format(parameters),
      `lms/stores/${STORE_ID}/controllers/${CONTROLLER_ID}/action`,
    );
  });

  const index = JSON.parse(sample('invalid', 'index').toString()) as Record<
    string,
    { code: string; pointer: string; channel?: FirmwareChannel }
  >;

  it('says for each invalid sample what is wrong with it', () => {
    assert.deepEqual(Object.keys(index).sort(), namesIn('invalid').sort());
  });

  for (const [name, expected] of Object.entries(index)) {
    it(`refuses ${name} as ${expected.code} at ${expected.pointer}`, () => {
      const payload = sample('invalid', name);
      const channel = expected.channel ?? channelOf(eventOf(payload));
      assert.throws(
        () => parse(channel, parameters, payload, SEED_TIME),
        (error) => {
          assert.ok(error instanceof FieldloomError);
          assert.deepEqual([error.code, error.pointer], [expected.code, expected.pointer]);
          assert.ok(error.message.includes(expected.pointer), error.message);
          return true;
        },
      );
    });
  }

  it('refuses what is no object, no JSON, or not of a controller’s topic', () => {
    const codeOf = (payload: string, ids: Record<string, string> = parameters) => {
      try {
        parse('ack', ids, Buffer.from(payload), SEED_TIME);
        return 'accepted';
      } catch (error) {
        return (error as FieldloomError).code;
      }
    };
    assert.equal(codeOf('null'), 'schema_mismatch');
    assert.equal(codeOf('[]'), 'schema_mismatch');
    assert.equal(codeOf('7'), 'schema_mismatch');
    assert.equal(codeOf('{'), 'invalid_json');
    assert.equal(codeOf('{}', { store_id: 'shop', controller_id: CONTROLLER_ID }), 'invalid_topic');
  });
});
