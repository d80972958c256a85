import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DeviceMessageKind, parseEvent } from '../../lib/command/events-codec.js';
import { DEVICE } from '../support/responder.js';

const samples = join(__dirname, '../../../schemas/device');
const NOW = Date.UTC(2025, 7, 29, 21, 0, 30);
const namesIn = (folder: string) =>
  readdirSync(join(samples, folder))
    .filter((name) => name.endsWith('.json') && name !== 'index.json')
    .map((name) => name.replace('.json', ''));
const sample = (folder: string, name: string) => readFileSync(join(samples, folder, `${name}.json`));
const kindOf = (name: string) => name.split('-')[0] as DeviceMessageKind;
const read = (folder: string, name: string) =>
  parseEvent(kindOf(name), DEVICE, sample(folder, name), NOW, NOW);

describe('the messages of a device and their schemas', () => {
  for (const name of namesIn('valid')) {
    it(`accept ${name}`, () => {
      const parsed = read('valid', name);
      assert.ok('event' in parsed, JSON.stringify(parsed));
      assert.deepEqual(parsed.event.original, JSON.parse(sample('valid', name).toString()));
    });
  }

  const index = JSON.parse(sample('invalid', 'index').toString()) as Record<
    string,
    { code: string; pointer?: string }
  >;

  it('say for each invalid sample what is wrong with it', () => {
    assert.deepEqual(Object.keys(index).sort(), namesIn('invalid').sort());
  });

  for (const [name, expected] of Object.entries(index)) {
    it(`refuse ${name} as ${expected.code} at ${expected.pointer ?? 'no place'}`, () => {
      const parsed = read('invalid', name);
      assert.ok('refusal' in parsed);
      const { code, pointer, message } = parsed.refusal;
      assert.deepEqual({ code, pointer }, { pointer: undefined, ...expected });
      assert.ok(message.includes(pointer ?? ''), message);
    });
  }

  it('are kept in samples of every kind, right and wrong', () => {
    const kinds = ['heartbeat', 'sensors', 'startup', 'threshold'];
    for (const folder of ['valid', 'invalid']) {
      assert.deepEqual([...new Set(namesIn(folder).map(kindOf))].sort(), kinds);
    }
  });
});
