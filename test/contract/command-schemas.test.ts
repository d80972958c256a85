import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createProfile } from '../../lib/command/profile.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { compileSchema } from '../../lib/core/schema.js';
import ackSchema from '../../schemas/command/ack.schema.json';
import commandSchema from '../../schemas/command/command.schema.json';
import { COMMAND_ID, FEED, SEED_TIME } from '../support/command.js';

const samples = join(__dirname, '../../../schemas/command');
const namesIn = (folder: string) =>
  readdirSync(join(samples, folder))
    .filter((name) => name.endsWith('.json') && name !== 'index.json')
    .map((name) => name.replace('.json', ''));
const sample = (folder: string, name: string) => readFileSync(join(samples, folder, `${name}.json`));

const validateCommand = compileSchema<unknown>(commandSchema);
const validateAck = compileSchema<unknown>(ackSchema);
const pond = createProfile({ profile: 'pond' });
const isAck = (name: string) => name.startsWith('ack-');
const check = (name: string, payload: Buffer) =>
  (isAck(name) ? validateAck : validateCommand)(JSON.parse(payload.toString()));

describe('the messages of commands and their schemas', () => {
  it('have the document’s own samples among the valid ones', () => {
    const { payload } = pond.prepare(FEED, COMMAND_ID, SEED_TIME);
    assert.deepEqual(JSON.parse(payload), JSON.parse(sample('valid', 'command-seed').toString()));
    assert.equal(payload, JSON.stringify(JSON.parse(sample('valid', 'command-seed').toString())));
    assert.deepEqual(pond.readAck(sample('valid', 'ack-seed')), {
      commandId: COMMAND_ID,
      success: true,
      message: 'Feed command executed successfully',
    });
  });

  for (const name of namesIn('valid')) {
    it(`accept ${name}`, () => {
      const payload = sample('valid', name);
      assert.equal(check(name, payload).valid, true);
      if (isAck(name)) assert.equal(pond.readAck(payload).commandId, COMMAND_ID);
    });
  }

  it('do not take a missing success for success', () => {
    for (const name of ['ack-without-success', 'ack-id-alone']) {
      assert.equal(pond.readAck(sample('valid', name)).success, null);
    }
    assert.equal(pond.readAck(sample('valid', 'ack-failure')).success, false);
  });

  const index = JSON.parse(sample('invalid', 'index').toString()) as Record<
    string,
    { code: string; pointer: string }
  >;

  it('say for each invalid sample what is wrong with it', () => {
    assert.deepEqual(Object.keys(index).sort(), namesIn('invalid').sort());
  });

  for (const [name, expected] of Object.entries(index)) {
    it(`refuse ${name} as ${expected.code} at ${expected.pointer}`, () => {
      const payload = sample('invalid', name);
      const checked = check(name, payload);
      assert.equal(checked.valid ? undefined : checked.pointer, expected.pointer);
      if (!isAck(name)) return;
      assert.throws(
        () => pond.readAck(payload),
        (error) =>
          error instanceof FieldloomError &&
          error.code === expected.code &&
          error.pointer === expected.pointer &&
          error.message.includes(expected.pointer),
      );
    });
  }

  for (const request of [
    FEED,
    { ...FEED, expiresAt: SEED_TIME + 60_000 },
    { ...FEED, commandType: 'WATER_VALVE', parameters: { action: 'open', duration_s: 30 } },
  ]) {
    it(`are what a pond’s command of ${request.commandType} is written as`, () => {
      const { payload } = pond.prepare(request, COMMAND_ID, SEED_TIME);
      assert.deepEqual(validateCommand(JSON.parse(payload)).valid, true);
    });
  }
});
