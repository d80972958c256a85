import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

// What Node-RED's library and its editor ask of a package, checked without asking another host.

interface Package {
  name: string;
  license: string;
  keywords: string[];
  repository?: object;
  bugs?: object;
  engines: { node: string };
  'node-red': { version: string; nodes: Record<string, string> };
}
type Texts = { [key: string]: string | Texts };

const json = <T>(file: string) => JSON.parse(readFileSync(file, 'utf8')) as T;
const manifest = json<Package>('package.json');
const examples = readdirSync('examples').filter((name) => name.endsWith('.json'));

/** A text of a locale by its dotted key. */
function textOf(texts: Texts, key: string): string | undefined {
  const found = key
    .split('.')
    .reduce<string | Texts | undefined>(
      (part, name) => (typeof part === 'object' ? part[name] : undefined),
      texts,
    );
  return typeof found === 'string' ? found : undefined;
}

describe('the package', () => {
  it('is scoped, licensed, has a place for bugs, and names its versions', () => {
    assert.match(manifest.name, /^@[^/]+\/node-red-/);
    assert.equal(manifest.license, 'Apache-2.0');
    assert.ok(existsSync('LICENSE'));
    assert.ok(manifest.repository ?? manifest.bugs);
    assert.ok(manifest.keywords.includes('node-red'));
    assert.match(manifest['node-red'].version, /^>=4\.1/);
    assert.match(manifest.engines.node, /^>=22\.13/);
  });

  it('has examples that the editor can import: one array each, with ids of their own', () => {
    for (const file of examples) {
      const nodes = json<{ id: string; z?: string; wires?: string[][] }[]>(join('examples', file));
      assert.ok(Array.isArray(nodes), file);
      const ids = nodes.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length, `${file}: ids are unique`);
      for (const { id, z, wires = [] } of nodes) {
        assert.ok(z === undefined || ids.includes(z), `${file}: tab of ${id}`);
        for (const target of wires.flat())
          assert.ok(ids.includes(target), `${file}: ${id} is wired to ${target}`);
      }
    }
  });
});

for (const [type, built] of Object.entries(manifest['node-red'].nodes)) {
  const name = type.replace(/^fieldloom-/, '');
  const folder = join('nodes', name);

  describe(`node ${type}`, () => {
    const html = () => readFileSync(join(folder, `${name}.html`), 'utf8');
    const texts = () => json<Texts>(join(folder, 'locales/en-US', `${name}.json`));

    it('is named as its folder and its built file', () => {
      assert.equal(basename(built, '.js'), name);
      assert.equal(dirname(built), join('dist', folder));
      for (const file of [built, built.replace(/js$/, 'html')]) assert.ok(existsSync(file), file);
    });

    it('registers with a literal that tools can read, in our category', () => {
      assert.match(html(), new RegExp(`RED\\.nodes\\.registerType\\('${type}', \\{`));
      assert.match(html(), /category: '(fieldloom|config)'/);
    });

    it('has its help and every text that its form and its status show', () => {
      const help = readFileSync(join(folder, 'locales/en-US', `${name}.html`), 'utf8');
      assert.match(help, new RegExp(`data-help-name="${type}"`));
      for (const [, key = ''] of html().matchAll(/data-i18n="(?:\[\w+\])?([\w.-]+)"/g)) {
        assert.ok(textOf(texts(), key), `text ${key}`);
      }
      const code = readFileSync(join(folder, `${name}.ts`), 'utf8');
      for (const [, key = ''] of code.matchAll(/status\(\s*'\w+',\s*'(\w+)'/g)) {
        const text = textOf(texts(), `status.${key}`);
        assert.ok(text, `status ${key}`);
        assert.ok(text.replace(/__\w+?__/g, '0000').length <= 20, `status ${key} is short: ${text}`);
      }
      assert.ok(textOf(texts(), 'status.failed'), 'status failed');
    });

    it('has an icon', () => {
      assert.ok(readdirSync(join(folder, 'icons')).some((file) => /\.(svg|png)$/.test(file)));
      const icon = /icon: '([^']+)'/.exec(html())?.[1];
      if (icon !== undefined && !icon.startsWith('font-awesome/')) {
        assert.ok(existsSync(join('dist', folder, 'icons', icon)), icon);
      }
    });

    it('asks for each of its settings in its form, and keeps secrets out of them', () => {
      const defaults = /defaults: \{([\s\S]*?)\n {4}\},/.exec(html())?.[1] ?? '';
      const settings = [...defaults.matchAll(/^ {6}(\w+): \{/gm)].map(([, setting]) => setting as string);
      assert.ok(settings.length > 0);
      for (const setting of settings) {
        // A table has no value of its own: under the plain name the editor would take an empty one from it.
        assert.match(html(), new RegExp(`id="node-(config-)?input-${setting}(-container)?"`), setting);
        assert.doesNotMatch(setting, /password|secret|token|key$/i);
      }
    });

    it('is in an example', () => {
      const uses = examples.filter((file) =>
        json<{ type: string }[]>(join('examples', file)).some((node) => node.type === type),
      );
      assert.ok(uses.length > 0);
    });
  });
}
