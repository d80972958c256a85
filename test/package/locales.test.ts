import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

// Every text of the editor is in a locale, every locale has all of them, and the help names all that a form asks for.

const LOCALES = ['en-US', 'de'] as const;
type Texts = { [key: string]: string | Texts };

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  'node-red': { nodes: Record<string, string> };
};

/** Texts by their dotted keys. */
function flat(texts: Texts, before = ''): Map<string, string> {
  return new Map(
    Object.entries(texts).flatMap(([key, value]) =>
      typeof value === 'string' ? [[before + key, value]] : [...flat(value, `${before}${key}.`)],
    ),
  );
}

const all = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, found = '']) => found);
const variables = (text: string) => all(text, /__(\w+?)__/g).sort();
const withoutTags = (html: string) =>
  html
    .replace(/<!--[\s\S]*?-->|<style>[\s\S]*?<\/style>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&nbsp;/g, ' ');

/** What a help page is made of, whatever its language: message properties with their types, sections, ports. */
function outline(help: string) {
  const count = (pattern: RegExp) => help.match(pattern)?.length ?? 0;
  return {
    properties: all(help, /<dt[^>]*>([\s\S]*?)<\/dt>/g).map((text) => text.replace(/\s+/g, ' ')),
    sections: count(/<h3>/g),
    lists: count(/<li>/g),
    paragraphs: count(/<p>/g),
    examples: all(help, /<pre>([\s\S]*?)<\/pre>/g),
    code: [
      ...new Set(all(help, /<code>([\s\S]*?)<\/code>/g).map((text) => text.replace(/\s+/g, ' '))),
    ].sort(),
  };
}

/** A label as the help calls it: without its unit. */
const nameOf = (label: string) => label.replace(/(, | \()[^,(]+$/, '').trim();

for (const type of Object.keys(manifest['node-red'].nodes)) {
  const name = type.replace(/^fieldloom-/, '');
  const folder = join('nodes', name);
  const built = join('dist', folder);
  const textsOf = (locale: string) =>
    flat(JSON.parse(readFileSync(join(built, 'locales', locale, `${name}.json`), 'utf8')) as Texts);
  const helpOf = (locale: string) => readFileSync(join(built, 'locales', locale, `${name}.html`), 'utf8');
  const html = readFileSync(join(folder, `${name}.html`), 'utf8');
  const form = /<script type="text\/html"[^>]*>([\s\S]*?)<\/script>/.exec(html)?.[1] ?? '';
  const script = /<script type="text\/javascript">([\s\S]*?)<\/script>/.exec(html)?.[1] ?? '';

  describe(`texts of ${type}`, () => {
    it('are all of its locales: nothing that is seen stands in the form or in its script', () => {
      assert.doesNotMatch(withoutTags(form), /\p{L}/u);
      // A placeholder that is no text shows a value: a number, an address, a topic, JSON.
      for (const shown of all(form, /\s(?:placeholder|title|aria-label)=(?:"([^"]*)"|'[^']*')/g)) {
        assert.match(shown, /^[\d.]*$|[:{/]/, shown);
      }
      assert.doesNotMatch(script, /(label|paletteLabel|inputLabels|outputLabels): *['"`[]/i);
      assert.doesNotMatch(script, /\.(text|html|append|notify)\(\s*['"`][^'"`<]*\p{L}/u);
    });

    for (const locale of LOCALES) {
      it(`are in ${locale}, with the keys of all locales`, () => {
        const [texts, english] = [textsOf(locale), textsOf('en-US')];
        assert.deepEqual([...texts.keys()].sort(), [...english.keys()].sort());
        for (const [key, text] of texts) {
          assert.ok(text.trim().length > 0, key);
          assert.deepEqual(variables(text), variables(english.get(key) ?? ''), `variables of ${key}`);
        }
      });

      it(`have in ${locale} each text that form and script ask for`, () => {
        const texts = textsOf(locale);
        const asked = [
          ...all(form, /data-i18n="(?:\[\w+\])?([\w.-]+)"/g),
          ...all(script, /\b_\('([\w.-]+[\w-])'\)/g),
          ...[...script.matchAll(/\b_\('([\w-]+\.)' \+ \[([^\]]+)\]/g)].flatMap(([, group, list = '']) =>
            all(list, /'([\w-]+)'/g).map((key) => group + key),
          ),
        ];
        assert.deepEqual(
          asked.filter((key) => !texts.has(key)),
          [],
        );
      });

      it(`fit below the node in ${locale}`, () => {
        for (const [key, text] of textsOf(locale)) {
          if (!key.startsWith('status.')) continue;
          assert.ok(text.replace(/__\w+?__/g, '0000').length <= 20, `${key} is short: ${text}`);
        }
      });

      it(`have a help page in ${locale} that says what the English one says`, () => {
        assert.match(helpOf(locale), new RegExp(`data-help-name="${type}"`));
        assert.deepEqual(outline(helpOf(locale)), outline(helpOf('en-US')));
      });

      it(`name in the help in ${locale} each property that the form asks for`, () => {
        const texts = textsOf(locale);
        const bold = all(helpOf(locale), /<b>([\s\S]*?)<\/b>/g).map((text) => text.replace(/\s+/g, ' '));
        const asked = all(form, /id="node-(?:config-)?input-(\w+)"/g);
        const missing = asked.flatMap((property) => {
          if (property === 'name' || property === 'custom') return [];
          const row = new RegExp(
            `<label for="node-(?:config-)?input-${property}"[^>]*>[\\s\\S]*?</label>`,
          ).exec(form);
          // Where several share a row, each has its name as its title.
          const titled = new RegExp(
            `id="node-input-${property}" data-i18n="\\[title\\](label[\\w.-]+)"`,
          ).exec(form);
          const key = /data-i18n="(label[\w.-]+)"/.exec(row?.[0] ?? '')?.[1] ?? titled?.[1];
          assert.ok(key, `${property} has a label`);
          const label = nameOf(texts.get(key) ?? '');
          return bold.includes(label) ? [] : [`${property}: ${label}`];
        });
        assert.deepEqual(missing, []);
      });
    }

    it('have in English an introduction of one sentence, and say what comes in and goes out', () => {
      const help = helpOf('en-US');
      assert.match(withoutTags(/<p>([\s\S]*?)<\/p>/.exec(help)?.[1] ?? ''), /^[^.]+\.\s*$/);
      const ports = (side: string) => Number(new RegExp(`${side}: (\\d+)`).exec(script)?.[1] ?? 0);
      assert.equal(/<h3>Inputs<\/h3>/.test(help), ports('inputs') > 0, 'inputs');
      assert.equal(/<h3>Outputs<\/h3>/.test(help), ports('outputs') > 0, 'outputs');
      if (ports('outputs') > 1) {
        const list = /<ol class="node-ports">([\s\S]*?)<\/ol>/.exec(help)?.[1] ?? '';
        const listed = list.replace(/<(ul|dl)[\s>][\s\S]*?<\/\1>/g, '').match(/<li>/g)?.length;
        assert.equal(listed, ports('outputs'), 'outputs that are described');
      }
      assert.match(help, /<h3>Details<\/h3>/);
    });
  });
}

describe('the locales', () => {
  it('hold files of nodes that are there, and are copied by the build', () => {
    for (const node of readdirSync('nodes')) {
      for (const locale of LOCALES) {
        const folder = join('nodes', node, 'locales', locale);
        for (const file of existsSync(folder) ? readdirSync(folder) : []) {
          assert.match(file, new RegExp(`^${node}\\.(json|html)$`));
          assert.equal(
            readFileSync(join('dist', folder, file), 'utf8'),
            readFileSync(join(folder, file), 'utf8'),
            file,
          );
        }
      }
    }
  });
});
