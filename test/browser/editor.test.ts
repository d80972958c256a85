import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import type { FlowNode } from '../../bin/compose.js';
import { saveFlows } from '../../bin/flows-save.js';
import { openBrowser, openPage, screenshot, type WatchedPage } from '../support/browser.js';
import { eventually, Gateway } from '../support/gateway.js';

/** What these tests ask of the editor's own interface, inside the page. */
interface EditorNode {
  id: string;
  type: string;
  z: string;
  valid: boolean;
  validationErrors?: string[];
  changed: boolean;
  status?: { fill?: string; text?: string };
}
interface Editor {
  editor: { edit(node: EditorNode): void };
  actions: { invoke(action: string): void };
  workspaces: { show(id: string): void; active(): string; delete(workspace: object): void };
  nodes: {
    eachWorkspace(visit: (workspace: { id: string; label: string }) => void): void;
    eachNode(visit: (node: EditorNode) => void): void;
    filterNodes(filter: { z: string }): EditorNode[];
    node(id: string): EditorNode;
    workspace(id: string): object;
    remove(id: string): void;
    dirty(): boolean;
  };
  view: {
    reveal(id: string): void;
    importNodes(nodes: object[], options: { generateIds: boolean; addFlow: boolean; notify: boolean }): void;
  };
}
declare const RED: Editor;

const FLOWS = resolve('flows');
const tray = (page: Page) => page.locator('.red-ui-tray').last();
const done = (page: Page) => tray(page).locator('#node-dialog-ok');

/** What a person writes into a required field, by its name. */
const WRITTEN: Record<string, string> = {
  device: 'AA:BB:CC:DD:EE:01',
  storeId: '6ba7b811-9dad-11d1-80b4-00c04fd430c8',
  controllerId: '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
};

async function openDialog(page: Page, node: Locator): Promise<void> {
  await node.dblclick();
  await done(page).waitFor();
}

async function closeDialog(page: Page): Promise<void> {
  await done(page).click();
  await page.locator('.red-ui-tray').waitFor({ state: 'detached' });
}

/** Fills what is marked as missing, the first choice of each list. */
async function fillRequired(page: Page): Promise<void> {
  // What is missing is told anew after each choice.
  const missing = await tray(page)
    .locator('.input-error[id]:visible')
    .evaluateAll((fields) => fields.map(({ id }) => id));
  for (const id of missing) {
    const field = tray(page).locator(`#${id}`);
    const values = await field
      .locator('option')
      .evaluateAll((options) =>
        options
          .map((option) => (option as HTMLOptionElement).value)
          .filter((value) => value !== '' && value !== '_ADD_'),
      );
    if (values[0] !== undefined) await field.selectOption(values[0]);
    else await field.fill(WRITTEN[id.replace('node-input-', '')] ?? 'test');
  }
}

async function deploy(page: Page): Promise<void> {
  await page.locator('#red-ui-header-button-deploy').click();
  await page.waitForFunction(() => !RED.nodes.dirty());
  await page.locator('.red-ui-notification-success').first().waitFor();
}

describe('the editor', function () {
  this.timeout(120_000);
  let browser: Browser;
  let gateway: Gateway;
  let watched: WatchedPage;
  let page: Page;
  let types: string[];
  const workspaces = () =>
    page.evaluate(() => {
      const found: { id: string; label: string }[] = [];
      RED.nodes.eachWorkspace(({ id, label }) => found.push({ id, label }));
      return found;
    });

  before(async () => {
    const { 'node-red': manifest } = JSON.parse(await readFile('package.json', 'utf8'));
    types = Object.keys(manifest.nodes);
    browser = await openBrowser();
    gateway = await Gateway.create();
    await gateway.start();
    watched = await openPage(browser, `${gateway.url}/`, { viewport: { width: 1600, height: 1000 } });
    page = watched.page;
    await page.locator('.red-ui-palette-node').first().waitFor();
    await page.waitForFunction(() => RED.workspaces.active() !== undefined && !RED.nodes.dirty());
  });
  after(async () => {
    await page?.context().close();
    await gateway?.remove();
    await browser?.close();
  });

  it('shows the running flows tab by tab, in the order of the dashboard’s pages, every node set up', async () => {
    const tabs = await workspaces();
    assert.deepEqual(
      tabs.slice(0, 6).map(({ id }) => id),
      ['overview', 'laundry', 'ponds', 'firmware', 'solar', 'roasts'],
    );
    for (const { id } of tabs) {
      await page.evaluate((tab) => RED.workspaces.show(tab), id);
      await page.locator('.red-ui-flow-node-group').first().waitFor();
      await screenshot(page, `editor-${id}`);
    }
    const wrong = await page.evaluate(() => {
      const found: string[] = [];
      RED.nodes.eachNode((node) => {
        if (!node.valid || node.status?.fill === 'red') found.push(`${node.id} ${node.status?.text}`);
      });
      return found;
    });
    assert.deepEqual(wrong, []);
  });

  it('changes nothing of a node whose dialog is opened and closed', async () => {
    const nodes = await page.evaluate(() => {
      const found: EditorNode[] = [];
      RED.nodes.eachNode(({ id, type, z }) => {
        if (type.startsWith('fieldloom-')) found.push({ id, type, z } as EditorNode);
      });
      return found;
    });
    // One of each is enough: twenty simulated machines have the same form.
    const ofEach = [...new Map(nodes.map((node) => [node.type, node])).values()];
    assert.ok(ofEach.length > 10);
    for (const { id, type } of ofEach) {
      // Node-RED takes a password that was not set for a change.
      if (type === 'fieldloom-broker-auth') continue;
      await page.evaluate((node) => RED.view.reveal(node), id);
      await page.evaluate((node) => RED.editor.edit(RED.nodes.node(node)), id);
      await done(page).waitFor();
      await closeDialog(page);
      assert.ok(!(await page.evaluate((node) => RED.nodes.node(node).changed, id)), `${type} has changed`);
    }
    assert.ok(!(await page.evaluate(() => RED.nodes.dirty())));
  });

  it('offers other nodes by their names and tabs where a node wants one', async () => {
    for (const [node, expected] of [
      ['ponds-api', { commands: 'device command (Ponds)', devices: 'device events (Ponds)' }],
      ['solar-history', { telemetry: 'telemetry store (Solar)', commands: 'device command (Solar)' }],
      ['solar-live-feed', { telemetry: 'telemetry store (Solar)' }],
    ] as const) {
      await page.evaluate((id) => RED.editor.edit(RED.nodes.node(id)), node);
      await done(page).waitFor();
      for (const [name, words] of Object.entries(expected)) {
        const chosen = tray(page).locator(`#node-input-${name} option:checked`);
        assert.equal(await chosen.innerText(), words);
      }
      await closeDialog(page);
    }
  });

  it('takes each node from the palette, shows its form and its help, and deploys it', async function () {
    this.timeout(300_000);
    await page.evaluate(() => RED.actions.invoke('core:add-flow'));
    const tab = await page.evaluate(() => RED.workspaces.active());
    const chart = await page.locator('#red-ui-workspace-chart').boundingBox();
    assert.ok(chart);
    const shown: string[] = [];
    for (const type of types) {
      const entry = page.locator(`.red-ui-palette-node[data-palette-type="${type}"]`);
      if ((await entry.count()) === 0) continue; // a configuration node
      shown.push(type);
      const column = shown.length % 4;
      const to = { x: 100 + column * 180, y: 60 + Math.floor(shown.length / 4) * 100 };
      await entry.scrollIntoViewIfNeeded();
      await entry.hover();
      await page.mouse.down();
      await page.mouse.move(chart.x + to.x, chart.y + to.y, { steps: 8 });
      await page.mouse.up();
      const dropped = await page.evaluate(
        (z) => RED.nodes.filterNodes({ z }).map(({ id, type }) => ({ id, type })),
        tab,
      );
      const node = dropped.find((each) => each.type === type);
      assert.ok(node, `${type} is on the canvas`);
      await openDialog(page, page.locator(`.red-ui-flow-node-group[id="${node.id}"]`));
      const words = await tray(page).innerText();
      // Texts that the locale does not have are shown as their keys.
      assert.doesNotMatch(words, /\b(label|option|placeholder|tip|status|output)\.[a-z]/i, type);
      await fillRequired(page);
      await tray(page).locator('.red-ui-tray-footer button').first().click();
      const help = page.locator('.red-ui-help');
      await help.getByRole('heading', { name: 'Details' }).waitFor();
      await closeDialog(page);
      const missing = await page.evaluate((id) => RED.nodes.node(id).validationErrors, node.id);
      assert.deepEqual(missing ?? [], [], type);
    }
    assert.equal(shown.length, types.length - (await configurationTypes()).length);
    await screenshot(page, 'editor-palette');
    // The connection has its broker already.
    await page.evaluate((z) => {
      const [broker] = RED.nodes.filterNodes({ z }).filter(({ type }) => type === 'fieldloom-broker');
      if (broker) RED.nodes.remove(broker.id);
    }, tab);
    await deploy(page);
    await page.evaluate((id) => RED.workspaces.show(id), tab);
    const failed = await page.evaluate(
      (z) =>
        RED.nodes
          .filterNodes({ z })
          // There is no roaster here that it could reach.
          .filter(({ status, type }) => status?.fill === 'red' && type !== 'fieldloom-roaster-modbus')
          .map(({ type, status }) => `${type}: ${status?.text}`),
      tab,
    );
    assert.deepEqual(failed, []);
    await eventually(
      async () => ((await fetch(`${gateway.url}/health`)).ok ? true : undefined),
      'a healthy gateway after the deploy',
    );
    await page.evaluate(() => RED.workspaces.delete(RED.nodes.workspace(RED.workspaces.active())));
    await deploy(page);
  });

  it('saves what was deployed into the flow files again, as they were', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fieldloom-flows-'));
    await cp(FLOWS, folder, { recursive: true });
    const changed = await saveFlows(folder, gateway.directory);
    for (const file of changed.filter((name) => name.endsWith('.json'))) {
      const read = async (from: string) => JSON.parse(await readFile(join(from, file), 'utf8'));
      assert.deepEqual(await read(folder), await read(FLOWS), file);
    }
    assert.deepEqual(changed, []);
    await rm(folder, { recursive: true });
  });

  it('imports every example without a node that it does not know', async () => {
    for (const file of (await readdir('examples')).filter((name) => name.endsWith('.json'))) {
      const nodes = JSON.parse(await readFile(join('examples', file), 'utf8')) as FlowNode[];
      await page.evaluate(
        (imported) => RED.view.importNodes(imported, { generateIds: true, addFlow: false, notify: false }),
        nodes,
      );
      const unknown = await page.evaluate(() => {
        const found: string[] = [];
        RED.nodes.eachNode(({ type }) => {
          if (type === 'unknown') found.push(type);
        });
        return found;
      });
      assert.deepEqual(unknown, [], file);
      await page.evaluate(() => RED.actions.invoke('core:undo'));
    }
  });

  it('imports an example by its menu', async () => {
    const before = (await workspaces()).length;
    await page.keyboard.press('Control+i');
    const dialog = page.getByRole('dialog').filter({ hasText: 'Import nodes' });
    await dialog.getByRole('link', { name: 'Examples' }).click();
    await dialog.getByText('@fieldloom/node-red-fieldloom').click();
    await dialog.getByText('machine-state', { exact: true }).click();
    await dialog.getByRole('button', { name: 'Import', exact: true }).click();
    await page.waitForFunction((count) => {
      let tabs = 0;
      RED.nodes.eachWorkspace(() => {
        tabs += 1;
      });
      return tabs > count;
    }, before);
    assert.equal((await workspaces()).at(-1)?.label, 'Machine state');
    await screenshot(page, 'editor-import');
    await deploy(page);
  });

  it('has complained of nothing, and asked no other host', () => assert.deepEqual(watched.complaints, []));

  async function configurationTypes(): Promise<string[]> {
    const found: string[] = [];
    for (const type of types) {
      const name = type.replace('fieldloom-', '');
      const html = await readFile(join('nodes', name, `${name}.html`), 'utf8');
      if (html.includes("category: 'config'")) found.push(type);
    }
    return found;
  }
});
