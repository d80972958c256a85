import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const NOT_OURS = new Set(['node_modules', 'dist', '.git', '.fieldloom', 'test-output']);

function* files(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (NOT_OURS.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else if (entry.isFile()) yield path;
  }
}

describe('the tree', () => {
  it('has no private key, no token and no password in an address', () => {
    const patterns: [what: string, pattern: RegExp][] = [
      ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=\n]{40}/],
      ['a JSON Web Token', /\beyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{20,}/],
      ['a token of a service', /\b(gh[pousr]_\w{30,}|npm_\w{30,}|AKIA[0-9A-Z]{16}|xox[abp]-[\w-]{20,})/],
    ];
    const found: string[] = [];
    for (const file of files('.')) {
      const text = readFileSync(file, 'utf8');
      for (const [what, pattern] of patterns) if (pattern.test(text)) found.push(`${file}: ${what}`);
    }
    assert.deepEqual(found, []);
  });

  it('has flows and examples whose credentials are variables of the environment, or none', () => {
    for (const folder of ['flows', 'examples']) {
      for (const name of readdirSync(folder).filter((file) => file.endsWith('.json'))) {
        const nodes = JSON.parse(readFileSync(join(folder, name), 'utf8')) as {
          id: string;
          credentials?: Record<string, string>;
        }[];
        for (const { id, credentials = {} } of nodes) {
          for (const value of Object.values(credentials))
            assert.match(value, /^\$\{\w+\}$/, `${name}: ${id}`);
        }
      }
    }
  });
});
