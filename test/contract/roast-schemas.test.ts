import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FieldloomError } from '../../lib/core/errors.js';
import { formatProfile, parseProfile } from '../../lib/roast/profile-codec.js';

const samples = join(__dirname, '../../../schemas/roast');
const namesIn = (folder: string) =>
  readdirSync(join(samples, folder))
    .filter((name) => name.endsWith('.json') && name !== 'index.json')
    .map((name) => name.replace('.json', ''));
const sample = (folder: string, name: string) => readFileSync(join(samples, folder, `${name}.json`));

describe('the roast profile and its schema', () => {
  for (const name of namesIn('valid')) {
    it(`accepts ${name}, and writes it so that it is the same again`, () => {
      const profile = parseProfile(sample('valid', name));
      assert.deepEqual(parseProfile(Buffer.from(formatProfile(profile, 'json'))), profile);
    });
  }

  it('writes a whole profile field by field as it was', () => {
    const text = sample('valid', 'whole');
    assert.deepEqual(JSON.parse(formatProfile(parseProfile(text), 'json')), JSON.parse(text.toString()));
  });

  const index = JSON.parse(sample('invalid', 'index').toString()) as Record<
    string,
    { code: string; pointer: string }
  >;

  it('says for each invalid sample what is wrong with it', () => {
    assert.deepEqual(Object.keys(index).sort(), namesIn('invalid').sort());
  });

  for (const [name, { code, pointer }] of Object.entries(index)) {
    it(`refuses ${name} as ${code} at ${pointer}`, () => {
      assert.throws(
        () => parseProfile(sample('invalid', name)),
        (error: FieldloomError) => {
          assert.ok(error instanceof FieldloomError);
          assert.deepEqual([error.code, error.pointer], [code, pointer]);
          return error.message.includes(pointer);
        },
      );
    });
  }
});
