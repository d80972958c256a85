import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, posix } from 'node:path';
import { type Packed, pack } from '../support/palette.js';

// What a user gets from the registry, and what it leans on.

interface Manifest {
  bin: Record<string, string>;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  'node-red': { nodes: Record<string, string> };
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;
const packageOf = (name: string) => name.split('/', name.startsWith('@') ? 2 : 1).join('/');

/** What a built file requires, statically or when it is used. */
const requiredBy = (file: string) =>
  [...readFileSync(file, 'utf8').matchAll(/\b(?:require|import)\((?:\/\*.*?\*\/ *)?['"]([^'"]+)['"]\)/g)].map(
    ([, name = '']) => name,
  );

describe('what npm packs', function () {
  this.timeout(60_000);
  let packed: Packed;
  let code: string[];
  before(async () => {
    packed = await pack();
    code = packed.files.filter((file) => /^dist\/(?!client\/browser).*\.js$/.test(file));
  });

  it('has each node with its form, help in every language and icons, and each example', () => {
    const wanted = Object.values(manifest['node-red'].nodes).flatMap((built) => {
      const folder = dirname(built);
      const beside = readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !/\.(map|d\.ts)$/.test(entry.name))
        .map((entry) => join(entry.parentPath, entry.name));
      return [built, built.replace(/js$/, 'html'), ...beside];
    });
    wanted.push(...readdirSync('examples').map((name) => `examples/${name}`));
    wanted.push(...Object.values(manifest.bin), 'examples/complete-system.json');
    wanted.push('README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md');
    wanted.push('schemas/openapi.yaml', 'schemas/asyncapi.yaml');
    assert.deepEqual(
      wanted.filter((file) => !packed.files.includes(file)),
      [],
    );
  });

  it('has nothing that only this checkout needs', () => {
    const own = /^(dist\/)?(test|bench|\.ci|flows)\/|\.map$|(^|\/)(in)?valid\/|tsconfig|biome|\.ts$/;
    const types = /^dist\/(client|lib\/core)\/.*\.d\.ts$/;
    assert.deepEqual(
      packed.files.filter((file) => own.test(file) && !types.test(file)),
      [],
    );
    // Pages are bundled; of their parts there are those by which a program of one's own follows the gateway.
    const parts = /^dist\/client\/(?!browser\/|(api|live-feed|roast-connection)\.)/;
    assert.deepEqual(
      packed.files.filter((file) => parts.test(file)),
      [],
    );
    const starts = /^dist\/bin\/(?!fieldloom\.js|database-url\.js|commands\/)/;
    assert.deepEqual(
      packed.files.filter((file) => starts.test(file)),
      [],
    );
  });

  it('requires no file that is not in it', () => {
    const missing = code.flatMap((file) =>
      requiredBy(file)
        .filter((name) => name.startsWith('.'))
        .map((name) => posix.join(posix.dirname(file), name))
        .filter((wanted) => !packed.files.includes(wanted))
        .map((wanted) => `${file}: ${wanted}`),
    );
    assert.deepEqual(missing, []);
    assert.ok(code.some((file) => requiredBy(file).length > 0));
  });

  it('requires the packages that it depends on, each of them, and no other', () => {
    const required = new Set(
      code
        .flatMap(requiredBy)
        .filter((name) => !name.startsWith('.') && !isBuiltin(name))
        .map(packageOf),
    );
    assert.deepEqual([...required].sort(), Object.keys(manifest.dependencies).sort());
  });

  it('is small', () => {
    assert.ok(packed.size < 1000 * 1024, `${packed.size} bytes`);
    assert.ok(packed.unpackedSize < 4 * 1024 * 1024, `${packed.unpackedSize} bytes unpacked`);
  });
});

describe('the dependencies', () => {
  const table = (heading: string) => {
    const text = readFileSync('CONTRIBUTING.md', 'utf8');
    const section = text.split(/^#+ /m).find((part) => part.startsWith(heading)) ?? '';
    const rows = [...section.matchAll(/^\| ([^|]+) \| ([^|]+) \|$/gm)].slice(2);
    return rows.map(([, names = '', why = '']) => ({ names: names.trim().split(/, /), why: why.trim() }));
  };

  for (const [heading, named] of [
    ['Dependencies', manifest.dependencies],
    ['Tools', manifest.devDependencies],
  ] as const) {
    it(`of the table ${heading} in CONTRIBUTING.md are those of package.json, each with its reason`, () => {
      const rows = table(heading);
      assert.deepEqual(rows.flatMap(({ names }) => names).sort(), Object.keys(named).sort());
      for (const { names, why } of rows) assert.ok(why.length > 10, names.join());
    });
  }
});
