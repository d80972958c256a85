import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseStatus, parseTelemetry } from '../../lib/solar/codec.js';
import { parseCommand } from '../../lib/solar/machine-codec.js';

const samples = join(__dirname, '../../../schemas/solar');
const NOW = Date.UTC(2025, 5, 2);
const namesIn = (folder: string) =>
  readdirSync(join(samples, folder))
    .filter((name) => name.endsWith('.json') && name !== 'index.json')
    .map((name) => name.replace('.json', ''));
const sample = (folder: string, name: string) => readFileSync(join(samples, folder, `${name}.json`));

function read(folder: string, name: string): void {
  const bytes = sample(folder, name);
  if (name.startsWith('telemetry')) parseTelemetry(bytes, NOW, NOW, 0);
  else if (name.startsWith('status')) parseStatus(bytes, NOW);
  else parseCommand(bytes);
}

describe('the messages of a solar machine and their schemas', () => {
  for (const name of namesIn('valid')) it(`accept ${name}`, () => read('valid', name));

  const index = JSON.parse(sample('invalid', 'index').toString()) as Record<string, object>;

  it('say for each invalid sample what is wrong with it', () => {
    assert.deepEqual(Object.keys(index).sort(), namesIn('invalid').sort());
  });

  for (const [name, expected] of Object.entries(index)) {
    it(`refuse ${name}`, () => {
      assert.throws(() => read('invalid', name), expected);
    });
  }
});
