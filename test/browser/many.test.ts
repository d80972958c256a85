import assert from 'node:assert/strict';
import { join } from 'node:path';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import type { Browser, Page } from 'playwright-core';
import { Access } from '../../lib/access/access.js';
import { openStore } from '../../lib/store/open.js';
import { ponds } from '../../lib/store/pond.js';
import { openBrowser, openPage, screenshot, sidewaysScroll, type WatchedPage } from '../support/browser.js';
import { Gateway } from '../support/gateway.js';

const PASSWORD = 'only of this test';
const MANY = 500;
const SHOPS = 5;
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
const uuid = (kind: number, index: number) =>
  `${String(kind).repeat(8)}-0000-4000-8000-${String(index).padStart(12, '0')}`;
const deviceOf = (index: number) => `AA:BB:CC:DD:${[index >> 8, index & 255].map(hex).join(':')}`;
const hex = (byte: number) => byte.toString(16).padStart(2, '0').toUpperCase();

/** Of each kind as many as a large owner has. The page "Solar" has tests of its own with so many. */
describe('the pages with 500 machines', function () {
  this.timeout(120_000);
  let browser: Browser;
  let gateway: Gateway;
  let service: MqttClient;
  let watched: WatchedPage;
  let page: Page;

  const send = (topic: string, payload: object) =>
    service.publishAsync(topic, JSON.stringify(payload), { qos: 1 });
  const timestamp = new Date().toISOString();

  async function laundries(): Promise<void> {
    await Promise.all(
      numbers(MANY).map((index) => {
        const [store_id, controller_id] = [uuid(1, index % SHOPS), uuid(2, index)];
        const status = index % 3 === 0 ? 'busy' : 'idle';
        const machine = { machine_type: 'washer', relay_id: 1, status, last_updated: timestamp };
        return send(`/stores/${store_id}/controllers/${controller_id}/metrics`, {
          ...{ version: '1.0.0', event_type: 'machine_state', correlation_id: controller_id },
          ...{ timestamp, store_id, controller_id, payload: { machines: [machine] } },
        });
      }),
    );
  }

  async function manyPonds(): Promise<void> {
    const store = await openStore(`sqlite:${join(gateway.directory, 'fieldloom.db')}`);
    const access = await Access.open(store);
    const ann = await access.userByName('ann');
    for (const index of numbers(MANY)) {
      await ponds(store).add({
        ...{ name: `Pond ${index + 1}`, ownerId: ann?.userId ?? 0, device: deviceOf(index), position: 1 },
        ...{ feedLimitG: 1000, thresholds: { dissolved_oxygen: { min: 5, max: 12 } } },
      });
    }
    access.close();
    await store.close();
    await Promise.all(
      numbers(MANY).map((index) =>
        send(`devices/${deviceOf(index)}/data/sensors`, {
          ...{ pond_position: 1, dissolved_oxygen: 4 + (index % 8), temperature: 26.4, ph: 7.6 },
        }),
      ),
    );
  }

  async function post(path: string, body: object | Buffer, token: string): Promise<{ id: string }> {
    const binary = body instanceof Buffer;
    const answer = await fetch(gateway.url + path, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': binary ? 'application/octet-stream' : 'application/json',
      },
      body: binary ? new Uint8Array(body) : JSON.stringify(body),
    });
    const text = await answer.text();
    assert.ok(answer.ok, text);
    return JSON.parse(text) as { id: string };
  }

  async function rollout(token: string): Promise<void> {
    const image = await post('/firmware/images?version=2.0.0', Buffer.alloc(4096, 1), token);
    await post(
      '/firmware/rollouts',
      {
        image_id: image.id,
        targets: numbers(MANY).map((index) => ({
          ...{ store_id: uuid(1, index % SHOPS), controller_id: uuid(2, index) },
        })),
        stages: [{ percent: 100, success_threshold: 1, error_threshold: 1 }],
        start: true,
      },
      token,
    );
  }

  before(async () => {
    gateway = await Gateway.create();
    await gateway.start();
    await gateway.command('user', 'add', 'ann', '--password-stdin', '--admin', { input: PASSWORD });
    const { token } = (await gateway.command('user', 'token', 'ann')) as { token: string };
    const login = (await gateway.command('access', 'add', '--role', 'service')) as IClientOptions;
    service = await mqtt.connectAsync(gateway.mqttUrl, login);
    await laundries();
    await manyPonds();
    await rollout(token);
    for (const index of numbers(MANY)) {
      await post('/api/machines', { id: `r${index}`, name: `Drum ${index}`, driver: 'simulator' }, token);
    }
    browser = await openBrowser();
    watched = await openPage(browser, `${gateway.url}/dashboard/ponds`);
    page = watched.page;
    await page.getByLabel('Name').fill('ann');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.locator('fieldloom-user').getByText('ann').waitFor();
  });
  after(async () => {
    await service?.endAsync(true);
    await browser?.close();
    await gateway?.remove();
  });

  /** Goes there within the dashboard's session, and comes back with all of it drawn. */
  async function open(path: string, ready: () => Promise<unknown>): Promise<void> {
    await page.goto(`${gateway.url}/dashboard/${path}`);
    await ready();
    assert.equal(await sidewaysScroll(page), 0);
    await screenshot(page, `many-${path}`);
  }

  it('are all counted in the overview, and what is wrong with many of them is told once', async () => {
    await open('overview', () => page.getByText('5 shops, 500 controllers').waitFor());
    await page.getByText('63 ponds are outside their limits').waitFor();
    await screenshot(page, 'many-overview');
  });

  it('are shown shop by shop in the laundry, and filtered at once', async () => {
    await open('laundry', () =>
      page
        .locator('.fl-tile')
        .nth(MANY - 1)
        .waitFor({ state: 'attached' }),
    );
    assert.equal(await page.locator('.fl-shop').count(), SHOPS);
    const first = page.locator('.fl-shop').first();
    const busy = first.getByRole('button', { name: /^Busy/ });
    const pressed = Date.now();
    await busy.click();
    await busy.and(page.locator('[aria-pressed="true"]')).waitFor();
    await first.locator('.fl-tile').nth(40).waitFor({ state: 'detached' });
    assert.ok(Date.now() - pressed < 2000, 'the filter is quick');
  });

  it('are all ponds of one owner, of which those come first that need somebody', async () => {
    await open('ponds', () =>
      page
        .locator('[data-pond]')
        .nth(MANY - 1)
        .waitFor({ state: 'attached' }),
    );
    await page.getByRole('button', { name: 'Show all 63' }).waitFor();
  });

  it('are the controllers of a rollout, of which those are drawn that are seen', async () => {
    await open('firmware', () => page.locator('.fl-fw-rollout').first().waitFor());
    await page.locator('.fl-fw-rollout').first().click();
    await page.locator('[data-target]').nth(5).waitFor();
    await page.locator(`[aria-rowcount="${MANY + 1}"]`).waitFor();
    assert.ok((await page.locator('[data-target]').count()) < 60);
    assert.equal(await sidewaysScroll(page), 0);
    await screenshot(page, 'many-firmware-rollout');
  });

  it('are roasters to choose from', async () => {
    await open('roast', () => page.getByText('Drum 0').first().waitFor({ state: 'attached' }));
  });

  it('have complained of nothing, and asked no other host', () => assert.deepEqual(watched.complaints, []));
});
