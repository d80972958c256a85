import assert from 'node:assert/strict';
import { setInterval } from 'node:timers/promises';
import mqtt, { type MqttClient } from 'mqtt';
import type { Browser, Page } from 'playwright-core';
import { openBrowser, openPage, screenshot, sidewaysScroll, type WatchedPage } from '../support/browser.js';
import { Gateway } from '../support/gateway.js';
import { CONTROLLER_ID, METRICS_TOPIC, SEED_MESSAGE, STORE_ID } from '../support/seed.js';

const PATH = '/dashboard/laundry';
const PASSWORD = 'only of this test';

/** The seed's message with other machines, and with times of now. */
function message(machines: Record<string, unknown>[]): string {
  const now = new Date().toISOString();
  return JSON.stringify({
    ...JSON.parse(SEED_MESSAGE),
    timestamp: now,
    payload: { machines: machines.map((machine) => ({ last_updated: now, ...machine })) },
  });
}

const tile = (page: Page, relay: number) => page.locator(`[data-machine="${CONTROLLER_ID}/${relay}"]`);

describe('page Laundry', () => {
  let browser: Browser;

  before(async () => {
    browser = await openBrowser();
  });
  after(() => browser.close());

  describe('with controllers of one’s own', () => {
    let gateway: Gateway;
    let controller: MqttClient;
    let watched: WatchedPage;
    let page: Page;

    before(async function () {
      this.timeout(90_000);
      gateway = await Gateway.create();
      await gateway.start();
      watched = await openPage(browser, gateway.url + PATH);
      page = watched.page;
    });
    after(async () => {
      await controller?.endAsync();
      await page?.context().close();
      await gateway?.remove();
    });

    it('says what to do next while there is no shop, with commands to copy', async () => {
      await page.getByRole('heading', { name: 'No shop has reported yet' }).waitFor();
      const command = page.locator('.fl-command pre').first();
      assert.match(
        await command.innerText(),
        /^npm run -s fieldloom -- access add --role controller --store \S+ --controller \S+$/,
      );
      await page.getByRole('button', { name: 'Copy' }).first().click();
      await page.getByText('Copied').waitFor();
      await screenshot(page, 'laundry-empty');
    });

    it('shows the sample message of the protocol within a second of its acknowledgement', async () => {
      const login = (await gateway.command(
        ...['access', 'add', '--role', 'controller'],
        ...['--store', STORE_ID, '--controller', CONTROLLER_ID],
      )) as { username: string; password: string };
      controller = await mqtt.connectAsync(gateway.mqttUrl, login);
      const shown = Promise.all([tile(page, 1).waitFor(), tile(page, 2).waitFor()]);
      await controller.publishAsync(METRICS_TOPIC, SEED_MESSAGE, { qos: 1 });
      const acknowledged = Date.now();
      await shown;
      const took = Date.now() - acknowledged;
      assert.ok(took < 1000, `took ${took} ms`);
      assert.match(await tile(page, 1).innerText(), /Washer 1\s+Busy/);
      assert.match(await tile(page, 2).innerText(), /Machine 2\s+Idle/);
    });

    it('shows a change on its tile, and in the list of what changed', async () => {
      await controller.publishAsync(
        METRICS_TOPIC,
        message([{ machine_type: 'washer', relay_id: 1, status: 'idle' }]),
        {
          qos: 1,
        },
      );
      await tile(page, 1).and(page.locator('.fl-is-idle')).waitFor();
      const newest = page.locator('.fl-changes li').first();
      await newest.filter({ hasText: 'Washer 1' }).filter({ hasText: 'Idle' }).waitFor();
    });

    it('shows the last 24 hours of a machine to people who cannot see them', async () => {
      const strip = tile(page, 1).getByRole('img');
      assert.match((await strip.getAttribute('aria-label')) ?? '', /^Last 1 d: /);
    });

    it('shows a refused message with reason, place and payload, and the outcome of its replay', async () => {
      const broken = message([
        { machine_type: 'washer', relay_id: 1, status: 'idle' },
        { machine_type: 'dryer', relay_id: 2, status: 'on fire' },
      ]);
      await controller.publishAsync(METRICS_TOPIC, broken, { qos: 1 });
      await page.getByRole('button', { name: /Refused messages/ }).click();
      const drawer = page.getByRole('dialog', { name: 'Refused messages' });
      const letter = drawer.locator('.fl-letter').first();
      await letter.getByText('/payload/machines/1/status', { exact: true }).waitFor();
      await letter.getByText('schema_mismatch').waitFor();
      await letter.getByText(/Payload, \d+ bytes/).click();
      assert.match(await letter.locator('pre').innerText(), /"status": "on fire"/);
      await letter.getByRole('button', { name: 'Replay' }).click();
      await letter.getByText(/^Refused again: /).waitFor();
      await screenshot(page, 'laundry-refused');
      await page.keyboard.press('Escape');
      await drawer.waitFor({ state: 'hidden' });
      await page.getByRole('button', { name: /message.* refused in the last 24 hours/ }).waitFor();
    });

    it('shows bytes that are no text as a hex dump', async () => {
      await controller.publishAsync(METRICS_TOPIC, Buffer.from([0xff, 0xfe, 0x00, 0x41]), { qos: 1 });
      await page.getByRole('button', { name: /Refused messages/ }).click();
      const letter = page.locator('.fl-letter').filter({ hasText: 'Payload, 4 bytes, not text' });
      await letter.locator('summary').click();
      assert.match(await letter.locator('pre').innerText(), /^0000 {2}ff fe 00 41 .*\.\.\.A$/);
      await page.getByRole('button', { name: 'Close', exact: true }).click();
    });

    it('can be used by keyboard alone', async () => {
      const focused = () => page.evaluate(() => document.activeElement?.getAttribute('data-machine'));
      await tile(page, 1).focus();
      await page.keyboard.press('ArrowRight');
      assert.equal(await focused(), `${CONTROLLER_ID}/2`);
      await tile(page, 2)
        .locator('.fl-exact')
        .and(page.locator(':visible'))
        .getByText(/^Idle since .*\d/)
        .waitFor();
      await page.keyboard.press('Home');
      assert.equal(await focused(), `${CONTROLLER_ID}/1`);

      const idle = page.getByRole('button', { name: /^Idle/ });
      await idle.focus();
      await page.keyboard.press('Enter');
      await idle.and(page.locator('[aria-pressed="true"]')).waitFor();
      const all = page.getByRole('button', { name: /^All \d/ });
      await all.focus();
      await page.keyboard.press('Space');
      await tile(page, 1).waitFor();
      // The chosen filter is one Tab away from the machines, through the other filters.
      for (let step = 0; step < 4; step++) await page.keyboard.press('Tab');
      assert.equal(await focused(), `${CONTROLLER_ID}/1`);

      const refused = page.getByRole('button', { name: /Refused messages/ });
      await refused.focus();
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'hidden' });
      assert.equal(await refused.evaluate((element) => element === document.activeElement), true);
    });

    it('puts a controller that falls silent first, with its machines unknown, until it speaks again', async () => {
      const state = [
        { machine_type: 'washer', relay_id: 1, status: 'idle', last_updated: '2024-01-15T16:00:00Z' },
      ];
      const speak = () => controller.publishAsync(METRICS_TOPIC, message(state), { qos: 1 });
      // The gateway learns this controller's rhythm of a second, and misses it after three.
      let spoken = 0;
      for await (const _ of setInterval(1000)) {
        await speak();
        spoken += 1;
        if (spoken === 6) break;
      }
      await page.getByRole('button', { name: /^Controller 6ba7b810 is offline for/ }).waitFor();
      await tile(page, 1).and(page.locator('.fl-is-unknown')).getByText('was idle').waitFor();
      await page
        .locator('.fl-offline')
        .getByText(/^Offline, last word/)
        .waitFor();
      await screenshot(page, 'laundry-offline');
      await speak();
      await tile(page, 1).and(page.locator('.fl-is-idle')).waitFor();
      await page.locator('.fl-offline').waitFor({ state: 'detached' });
    });

    for (const colorScheme of ['light', 'dark'] as const) {
      it(`fits a telephone of 390 px, ${colorScheme}`, async () => {
        const phone = await openPage(browser, gateway.url + PATH, {
          viewport: { width: 390, height: 844 },
          colorScheme,
        });
        await tile(phone.page, 1).waitFor();
        assert.equal(await sidewaysScroll(phone.page), 0);
        await screenshot(phone.page, `laundry-390-${colorScheme}`);
        await phone.page.getByRole('button', { name: /Refused messages/ }).click();
        await phone.page.locator('.fl-letter summary').first().click();
        assert.equal(await sidewaysScroll(phone.page), 0);
        const drawer = await phone.page.getByRole('dialog').boundingBox();
        assert.ok(drawer !== null && drawer.x >= 0 && drawer.width <= 390);
        assert.deepEqual(phone.complaints, []);
        await phone.page.context().close();
      });
    }

    it('has complained of nothing so far', () => assert.deepEqual(watched.complaints, []));

    it('is stale when the gateway goes, disconnected after half a minute, and live again by itself', async function () {
      this.timeout(90_000);
      const lost = await openPage(browser, 'about:blank');
      await lost.page.clock.install();
      await lost.page.goto(gateway.url + PATH);
      await tile(lost.page, 1).waitFor();
      await gateway.end('SIGTERM');
      await lost.page
        .locator('.fl-stale-notice')
        .getByText(/^As of /)
        .waitFor();
      await screenshot(lost.page, 'laundry-stale');
      await lost.page.clock.fastForward(31_000);
      await lost.page.getByText('Not connected to the gateway').waitFor();
      await tile(lost.page, 1).waitFor();
      await screenshot(lost.page, 'laundry-disconnected');
      await gateway.start();
      await lost.page.clock.fastForward(30_000);
      await lost.page.locator('.fl-connection.fl-live').waitFor();
      await lost.page.context().close();
    });
  });

  describe('where reading wants a login', () => {
    let gateway: Gateway;
    let watched: WatchedPage;
    let page: Page;

    before(async function () {
      this.timeout(90_000);
      gateway = await Gateway.create({ ACCESS: 'token' });
      await gateway.start();
      await gateway.command('user', 'add', 'ann', '--password-stdin', '--admin', { input: PASSWORD });
      watched = await openPage(browser, gateway.url + PATH);
      page = watched.page;
    });
    after(async () => {
      await page?.context().close();
      await gateway?.remove();
    });

    it('asks for it, says whose it is, and ends with it', async () => {
      await page.getByRole('heading', { name: 'Log in to see the shops' }).waitFor();
      await page.getByLabel('Name').fill('ann');
      await page.getByLabel('Password').fill(PASSWORD);
      await page.getByRole('button', { name: 'Log in' }).click();
      await page.getByRole('heading', { name: 'No shop has reported yet' }).waitFor();
      await page.locator('fieldloom-user').getByText('ann').waitFor();
      await screenshot(page, 'laundry-logged-in');
      await page.getByRole('button', { name: 'Log out' }).click();
      await page.getByRole('heading', { name: 'Log in to see the shops' }).waitFor();
      assert.equal(await page.locator('fieldloom-user').count(), 0);
    });
  });

  describe('with simulated laundries', () => {
    let gateway: Gateway;
    let watched: WatchedPage;
    let page: Page;

    before(async function () {
      this.timeout(90_000);
      gateway = await Gateway.create({ SIMULATE: '1' });
      await gateway.start();
      watched = await openPage(browser, gateway.url + PATH);
      page = watched.page;
    });
    after(async () => {
      await page?.context().close();
      await gateway?.remove();
    });

    it('shows both shops, their three controllers and twenty machines, and the shop that has none', async () => {
      await page.locator('.fl-tile').nth(19).waitFor();
      await page.locator('.fl-shop').filter({ hasText: 'have reported no machine yet' }).waitFor();
      assert.equal(await page.locator('.fl-shop').count(), 3);
      assert.equal(await page.locator('.fl-controller').count(), 3);
      assert.equal(await page.locator('.fl-tile').count(), 20);
      await page.locator('.fl-connection.fl-live').waitFor();
    });

    it('shows what changes as it changes', async () => {
      const time = page.locator('.fl-changes li time').first();
      await time.waitFor();
      const before = await time.innerText();
      await page.waitForFunction(
        (old) => document.querySelector('.fl-changes li time')?.textContent !== old,
        before,
        { timeout: 55_000 },
      );
    });

    it('shows one shop alone when it is chosen', async () => {
      await page.getByRole('navigation', { name: 'Shops' }).getByRole('button').nth(1).click();
      await page.locator('.fl-shop').nth(1).waitFor({ state: 'detached' });
      await page.getByRole('button', { name: 'All shops' }).click();
      await page.locator('.fl-shop').nth(2).waitFor();
    });

    for (const colorScheme of ['light', 'dark'] as const) {
      it(`is drawn for a person to look at, ${colorScheme}`, async () => {
        await page.emulateMedia({ colorScheme });
        await page.locator(`html[data-fieldloom-scheme^="${colorScheme}"]`).waitFor();
        await page.locator('.fl-today').first().getByText(/cycle/).waitFor();
        await screenshot(page, `laundry-${colorScheme}`);
      });
    }

    it('has complained of nothing, and asked no other host', () => assert.deepEqual(watched.complaints, []));
  });
});
