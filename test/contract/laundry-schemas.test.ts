import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileSchema, registerSchema } from '../../lib/core/schema.js';
import { format, type Parsed, parse } from '../../lib/laundry/codec.js';
import envelopeSchema from '../../schemas/common/envelope.schema.json';
import machineSchema from '../../schemas/laundry/machine.schema.json';
import messageSchema from '../../schemas/laundry/machine-state.schema.json';
import { SEED_TIME } from '../support/laundry.js';
import { CONTROLLER_ID, SEED_MESSAGE, STORE_ID } from '../support/seed.js';

const samples = join(__dirname, '../../../schemas/laundry');
const parameters = { store_id: STORE_ID, controller_id: CONTROLLER_ID };
const namesIn = (folder: string) =>
  readdirSync(join(samples, folder))
    .filter((name) => name.endsWith('.json') && name !== 'index.json')
    .map((name) => name.replace('.json', ''));
const sample = (folder: string, name: string) => readFileSync(join(samples, folder, `${name}.json`));
const read = (payload: Buffer) => parse(parameters, payload, SEED_TIME) as Parsed;

registerSchema(envelopeSchema);
registerSchema(machineSchema);
const validate = compileSchema<unknown>(messageSchema);

describe('the machine state message and its schema', () => {
  it('has the document’s own sample among its valid ones', () => {
    assert.deepEqual(JSON.parse(sample('valid', 'seed').toString()), JSON.parse(SEED_MESSAGE));
  });

  for (const name of namesIn('valid')) {
    it(`accepts ${name}`, () => {
      const payload = sample('valid', name);
      assert.deepEqual(validate(JSON.parse(payload.toString())).valid, true);
      const { message, refusals } = read(payload);
      assert.deepEqual(refusals, []);
      assert.deepEqual(message?.original, JSON.parse(payload.toString()));
    });
  }

  const index = JSON.parse(sample('invalid', 'index').toString()) as Record<
    string,
    { code: string; pointer: string }
  >;

  it('says for each invalid sample what is wrong with it', () => {
    assert.deepEqual(Object.keys(index).sort(), namesIn('invalid').sort());
  });

  for (const [name, expected] of Object.entries(index)) {
    it(`refuses ${name} as ${expected.code} at ${expected.pointer}`, () => {
      const payload = sample('invalid', name);
      const { message, refusals } = read(payload);
      assert.equal(refusals.length, 1);
      const [refusal] = refusals;
      assert.deepEqual({ code: refusal?.code, pointer: refusal?.pointer }, expected);
      assert.ok(refusal?.message.includes(expected.pointer), refusal?.message);
      if (expected.code === 'schema_mismatch') {
        const checked = validate(JSON.parse(payload.toString()));
        assert.deepEqual(checked.valid ? undefined : checked.pointer, expected.pointer);
      }
      // A machine that is wrong is refused alone.
      if (expected.pointer.startsWith('/payload/machines/1')) {
        assert.deepEqual(
          message?.machines.map(({ relayId }) => relayId),
          [1],
        );
      } else assert.equal(message, undefined);
    });
  }

  it('is written field by field as in the document, by a clock seven hours east', () => {
    const { message } = read(Buffer.from(SEED_MESSAGE));
    assert.ok(message);
    assert.equal(format(message, 420), JSON.stringify(JSON.parse(SEED_MESSAGE)));
  });
});
