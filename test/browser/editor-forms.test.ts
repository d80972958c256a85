import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { openBrowser, openPage, screenshot } from '../support/browser.js';
import { Gateway } from '../support/gateway.js';

// The form of each node as a person opens it. What is in page.evaluate runs in the editor, which has a global RED.

const TYPES = Object.keys(
  (JSON.parse(readFileSync('package.json', 'utf8')) as { 'node-red': { nodes: object } })['node-red'].nodes,
);
const EXAMPLES = readdirSync('examples').map(
  (name) => JSON.parse(readFileSync(`examples/${name}`, 'utf8')) as { type: string }[],
);
const exampleOf = (type: string) => EXAMPLES.find((nodes) => nodes.some((node) => node.type === type));

/** The part of the editor that is used here. */
interface Editor {
  nodes: {
    getType(type: string): { category: string } | null;
    import(nodes: object[], options: object): void;
    eachConfig(each: (node: { id: string; type: string }) => void): void;
    eachNode(each: (node: { id: string; type: string }) => void): void;
  };
  editor: { edit(node: object): void; editConfig(name: string, type: string, id: string): void };
  sidebar: { help: { show(type: string): void } };
}
declare const RED: Editor;

async function openForm(page: Page, type: string) {
  await page.evaluate(
    ({ type, flow }) => {
      const isConfig = RED.nodes.getType(type)?.category === 'config';
      const find = () => {
        let found: { id: string } | undefined;
        RED.nodes[isConfig ? 'eachConfig' : 'eachNode']((node) => {
          if (node.type === type) found = node;
        });
        return found;
      };
      if (find() === undefined) RED.nodes.import(flow, { generateIds: true });
      const node = find();
      if (node === undefined) throw new Error(`no node of ${type}`);
      if (isConfig) RED.editor.editConfig('', type, node.id);
      else RED.editor.edit(node);
    },
    { type, flow: exampleOf(type) as object[] },
  );
  // The tray slides in and sets its own width when it has come.
  await page.waitForFunction(() => {
    const tray = document.querySelector<HTMLElement>('.red-ui-tray');
    const form = tray?.querySelector('.form-row');
    return tray !== null && form !== null && tray.getAnimations().length === 0 && tray.style.right === '0px';
  });
}

describe('the editor', function () {
  this.timeout(120_000);
  let gateway: Gateway;
  let browser: Browser;
  before(async () => {
    gateway = await Gateway.create();
    await gateway.start();
    browser = await openBrowser();
  });
  after(async () => {
    await browser?.close();
    await gateway?.remove();
  });

  for (const [locale, deploy] of [
    ['en-US', 'Deploy'],
    ['de', 'Übernahme (deploy)'],
  ] as const) {
    it(`shows form and help of every node in ${locale}, whole and without a key that has no text`, async () => {
      const { page, complaints } = await openPage(browser, `${gateway.url}/`, { locale });
      await page.getByText(deploy, { exact: true }).waitFor();
      await page.waitForFunction(
        () => document.querySelector('.red-ui-flow-node, .red-ui-palette-node') !== null,
      );
      for (const type of TYPES) {
        await openForm(page, type);
        const seen = await page.evaluate((shown) => {
          const rows = [...document.querySelectorAll<HTMLElement>('.red-ui-tray-body .form-row')];
          const labels = rows.flatMap((row) => [...row.querySelectorAll<HTMLElement>('label')]);
          RED.sidebar.help.show(shown);
          return {
            text: rows.map((row) => row.innerText).join('\n'),
            placeholders: rows.flatMap((row) =>
              [...row.querySelectorAll('input')].map(({ placeholder }) => placeholder),
            ),
            // A long word may stand over by a letter, into the space before the field.
            cut: labels
              .filter((label) => label.style.width !== 'auto' && label.scrollWidth > label.clientWidth + 8)
              .map((label) => label.innerText),
            help: [...document.querySelectorAll('.red-ui-help')].map((part) => part.textContent).join(),
          };
        }, type);
        assert.deepEqual(seen.cut, [], type);
        for (const text of [seen.text, ...seen.placeholders]) {
          assert.doesNotMatch(text, /\b(label|placeholder|kind|mode|profile|unit|protocol)\.\w/, type);
        }
        assert.ok(seen.help.includes('Details'), `help of ${type}: ${seen.help}`);
        assert.equal(
          seen.help.includes('Eingangsdaten') || seen.help.includes('Ausgangsdaten'),
          locale === 'de' &&
            /<h3>(Inputs|Outputs)/.test(
              readFileSync(`nodes/${type.slice(10)}/locales/en-US/${type.slice(10)}.html`, 'utf8'),
            ),
          type,
        );
        if (type === 'fieldloom-connection') await screenshot(page, `editor-form-${locale}`);
        await page
          .locator('.red-ui-tray #node-dialog-cancel, .red-ui-tray #node-config-dialog-cancel')
          .click();
        await page.waitForFunction(() => document.querySelector('.red-ui-tray') === null);
      }
      assert.deepEqual(complaints, []);
      await page.context().close();
    });
  }
});
