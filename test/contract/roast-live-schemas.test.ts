import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FieldloomError } from '../../lib/core/errors.js';
import { compileUserSchema } from '../../lib/core/schema.js';
import { MAX_MESSAGE_BYTES, parseClientMessage } from '../../lib/roast/protocol.js';

const folder = join(__dirname, '../../../schemas/roast');
const read = (...path: string[]) => readFileSync(join(folder, ...path));
const json = (...path: string[]) => JSON.parse(read(...path).toString());
const namesIn = (kind: string) =>
  readdirSync(join(folder, 'live', kind))
    .filter((name) => name !== 'index.json')
    .map((name) => name.replace('.json', ''));
const FROM_CLIENTS = ['control', 'command', 'replay-control'];

describe('messages of /ws/live and their schemas', () => {
  for (const name of namesIn('valid')) {
    const [schema = ''] = name.split('.');
    it(`accept ${name}`, () => {
      const checked = compileUserSchema(json(`${schema}.schema.json`))(json('live', 'valid', `${name}.json`));
      assert.deepEqual(checked.valid ? '' : checked.message, '');
      if (FROM_CLIENTS.includes(schema)) parseClientMessage(read('live', 'valid', `${name}.json`));
      else
        assert.throws(() => parseClientMessage(read('live', 'valid', `${name}.json`)), 'not from a client');
    });
  }

  const index = json('live', 'invalid', 'index.json') as Record<string, { code: string; pointer: string }>;
  it('say for each invalid sample what is wrong with it', () => {
    assert.deepEqual(Object.keys(index).sort(), namesIn('invalid').sort());
  });
  for (const [name, { code, pointer }] of Object.entries(index)) {
    it(`refuse ${name} at ${pointer}`, () => {
      assert.throws(
        () => parseClientMessage(read('live', 'invalid', `${name}.json`)),
        (error: FieldloomError) => {
          assert.ok(error instanceof FieldloomError);
          assert.deepEqual([error.code, error.pointer], [code, pointer]);
          return true;
        },
      );
    });
  }

  it('refuse what is no JSON, no UTF-8, too deep or too long', () => {
    const codeOf = (bytes: Buffer) => {
      try {
        parseClientMessage(bytes);
        return 'accepted';
      } catch (error) {
        return (error as FieldloomError).code;
      }
    };
    assert.equal(codeOf(Buffer.from('{')), 'invalid_json');
    assert.equal(codeOf(Buffer.from('')), 'invalid_json');
    assert.equal(codeOf(Buffer.from([0xff, 0xfe])), 'invalid_utf8');
    assert.equal(codeOf(Buffer.from(`${'['.repeat(100)}${']'.repeat(100)}`)), 'nesting_too_deep');
    assert.equal(codeOf(Buffer.alloc(MAX_MESSAGE_BYTES + 1, 0x20)), 'payload_too_large');
  });
});
