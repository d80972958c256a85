import assert from 'node:assert/strict';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import type { Browser, Page } from 'playwright-core';
import { openBrowser, openPage, screenshot, sidewaysScroll, type WatchedPage } from '../support/browser.js';
import { Gateway } from '../support/gateway.js';
import { CONTROLLER_ID, METRICS_TOPIC, SEED_MESSAGE, STORE_ID } from '../support/seed.js';

const PATH = '/dashboard/overview';
const DEVICE = 'AA:BB:CC:DD:EE:FF';
const PASSWORD = 'a long password';

const card = (page: Page, name: string) => page.locator(`[data-card="${name}"]`);
const attention = (page: Page) => page.getByRole('region', { name: /Needs attention/ });

describe('page Overview', () => {
  let browser: Browser;

  before(async () => {
    browser = await openBrowser();
  });
  after(() => browser.close());

  describe('with machines of one’s own', () => {
    let gateway: Gateway;
    let watched: WatchedPage;
    let page: Page;
    const clients: MqttClient[] = [];

    const login = async (...options: string[]) => {
      const client = await mqtt.connectAsync(
        gateway.mqttUrl,
        (await gateway.command('access', 'add', ...options)) as IClientOptions,
      );
      clients.push(client);
      return client;
    };

    before(async function () {
      this.timeout(90_000);
      gateway = await Gateway.create();
      await gateway.start();
      watched = await openPage(browser, `${gateway.url}/dashboard`);
      page = watched.page;
    });
    after(async () => {
      for (const client of clients) await client.endAsync(true);
      await page?.context().close();
      await gateway?.remove();
    });

    it('is what the dashboard opens with, and the first of its pages', async () => {
      await page.waitForURL(`**${PATH}`);
      await page
        .getByRole('button', { name: /menu/i })
        .or(page.locator('.v-app-bar-nav-icon'))
        .first()
        .click();
      const pages = page.locator('.v-navigation-drawer .v-list-item');
      assert.match(await pages.first().innerText(), /Overview/);
      await page.keyboard.press('Escape');
      await page.goto(gateway.url + PATH);
    });

    it('says what to do while nothing is connected, with commands to copy', async () => {
      await page.getByRole('heading', { name: 'Nothing is connected yet' }).waitFor();
      const commands = await page.locator('.fl-command pre').allInnerTexts();
      assert.equal(commands[0], 'SIMULATE=1 npm start');
      assert.match(commands[1] ?? '', /^npm run -s fieldloom -- access add --role controller /);
      await page.getByRole('button', { name: 'Copy' }).first().click();
      await page.getByText('Copied').waitFor();
      await screenshot(page, 'overview-empty');
    });

    it('counts a laundry’s machines within three seconds of their first message', async () => {
      const controller = await login(
        ...['--role', 'controller', '--store', STORE_ID, '--controller', CONTROLLER_ID],
      );
      await controller.publishAsync(METRICS_TOPIC, SEED_MESSAGE, { qos: 1 });
      const acknowledged = Date.now();
      await card(page, 'laundry').getByText('1 shop, 1 controller').waitFor();
      const took = Date.now() - acknowledged;
      assert.ok(took < 3000, `took ${took} ms`);
      assert.match(await card(page, 'laundry').innerText(), /1\s+busy\s+1\s+idle/);
      await page.getByText('Nothing that can be seen without a login needs attention.').waitFor();
    });

    it('tells a curve to people who cannot see it', async () => {
      const curve = card(page, 'laundry').getByRole('slider');
      assert.match((await curve.getAttribute('aria-label')) ?? '', /^Busy machines, last hour: \d to \d$/);
    });

    it('shows what was refused where it stands, with its reason, and replays it', async () => {
      const machine = await login('--role', 'machine', '--company', '1', '--machine', 'A');
      await machine.publishAsync('company/1/machine/A/status', '{"status":"cleaning"}', { qos: 1 });
      await machine.publishAsync('company/1/machine/A/telemetry', '{"battery":"full"}', { qos: 1 });
      await attention(page)
        .getByRole('link', { name: /1 message of solar machines refused/ })
        .click();
      const drawer = page.getByRole('dialog', { name: 'Refused messages' });
      await drawer.getByText('/battery', { exact: true }).waitFor();
      await drawer.getByText(/Payload, \d+ bytes/).click();
      await drawer.getByText('"battery": "full"').waitFor();
      await drawer.getByRole('button', { name: 'Replay' }).click();
      await drawer.getByText(/^Refused again/).waitFor();
      // What was opened stays open while the page goes on.
      await drawer.getByText('"battery": "full"').waitFor();
      await screenshot(page, 'overview-refused');
      await page.keyboard.press('Escape');
    });

    it('leads from what needs attention to its place', async () => {
      const machine = await login('--role', 'machine', '--company', '1', '--machine', 'B');
      await machine.publishAsync('company/1/machine/B/status', '{"status":"offline"}', { qos: 1 });
      const link = attention(page).getByRole('link', { name: /Machine B is offline/ });
      await link.waitFor();
      assert.match((await link.getAttribute('href')) ?? '', /\/dashboard\/solar#machine-1-B$/);
      await card(page, 'solar').getByText('2 machines').waitFor();
      await card(page, 'laundry').getByRole('link').first().click();
      await page.locator(`[data-machine="${CONTROLLER_ID}/1"]`).waitFor();
      assert.equal(new URL(page.url()).pathname, '/dashboard/laundry');
      await page.goBack();
      await card(page, 'laundry').waitFor();
    });

    it('shows ponds to whoever has logged in, and takes an alert to its pond', async () => {
      await gateway.command('user', 'add', 'ann', '--password-stdin', { input: PASSWORD });
      await gateway.command(
        ...['pond', 'add', '--owner', 'ann', '--device', DEVICE, '--position', '1'],
        ...['--name', 'North pond', '--threshold', 'dissolved_oxygen=5:12'],
      );
      const device = await login('--role', 'device', '--device', DEVICE);
      const say = (topic: string, payload: object) =>
        device.publishAsync(`devices/${DEVICE}/${topic}`, JSON.stringify(payload), { qos: 1 });
      await say('data/sensors', { pond_position: 1, dissolved_oxygen: 4.5 });
      await say('threshold', {
        ...{ pond_position: 1, parameter: 'dissolved_oxygen', value: 4.5, severity: 'critical' },
      });
      await card(page, 'ponds').getByText('Log in to see your ponds.').waitFor();
      await card(page, 'ponds')
        .getByRole('button', { name: /Log in/ })
        .click();
      const dialog = page.getByRole('dialog', { name: 'Log in' });
      await dialog.getByLabel('Name').fill('ann');
      await dialog.getByLabel('Password').fill(PASSWORD);
      await page.keyboard.press('Enter');
      await dialog.waitFor({ state: 'hidden' });
      await card(page, 'ponds').getByText('Lowest oxygen: North pond, 4.5 mg/L').waitFor();
      await attention(page)
        .getByRole('link', { name: /North pond/ })
        .click();
      await page.getByRole('heading', { name: 'North pond' }).first().waitFor();
      assert.equal(new URL(page.url()).pathname, '/dashboard/ponds');
      await page
        .getByRole('button', { name: /Acknowledge/ })
        .first()
        .waitFor();
      await page.goBack();
    });

    it('shows a login only what is its own', async () => {
      await card(page, 'laundry').getByText('No shop has reported yet.').waitFor();
      await page.getByRole('button', { name: 'Log out' }).click();
      await card(page, 'laundry').getByText('1 shop, 1 controller').waitFor();
      await card(page, 'ponds').getByText('Log in to see your ponds.').waitFor();
    });

    it('is used by keyboard alone', async () => {
      await page.locator('body').click({ position: { x: 640, y: 880 } });
      const reached: string[] = [];
      for (let press = 0; press < 30; press += 1) {
        await page.keyboard.press('Tab');
        reached.push(
          await page.evaluate(
            () => document.activeElement?.closest('[data-card]')?.getAttribute('data-card') ?? '',
          ),
        );
      }
      for (const name of ['laundry', 'ponds', 'firmware', 'solar', 'roast']) {
        assert.ok(reached.includes(name), `${name} among ${reached.join()}`);
      }
    });

    for (const colorScheme of ['light', 'dark'] as const) {
      it(`fits a phone, ${colorScheme}`, async () => {
        const phone = await openPage(browser, gateway.url + PATH, {
          viewport: { width: 390, height: 844 },
          colorScheme,
        });
        await card(phone.page, 'laundry').getByText('1 shop, 1 controller').waitFor();
        assert.equal(await sidewaysScroll(phone.page), 0);
        await screenshot(phone.page, `overview-phone-${colorScheme}`);
        await phone.page.context().close();
      });
    }

    it('has complained of nothing, and asked no other host', () => assert.deepEqual(watched.complaints, []));

    it('says what the gateway answers in place of data, and is there at the next try', async () => {
      const { page: wrong } = await openPage(browser, 'about:blank');
      let answered = false;
      await wrong.route(/\/overview$/, (route) => {
        if (answered || route.request().resourceType() === 'document') return route.continue();
        return route.fulfill({ status: 500, json: { error: { code: 'internal', message: 'it is broken' } } });
      });
      await wrong.goto(gateway.url + PATH);
      const box = wrong.locator('.fl-failure').filter({ hasText: 'The gateway answered with an error' });
      await box.getByText('it is broken (internal)').waitFor();
      await screenshot(wrong, 'overview-failure');
      answered = true;
      await box.getByRole('button', { name: 'Try again' }).click();
      await card(wrong, 'laundry').waitFor();
      await wrong.context().close();
    });

    it('tells old data from none, and comes back by itself', async () => {
      const lost = await openPage(browser, gateway.url + PATH);
      await lost.page.clock.install();
      await lost.page.goto(gateway.url + PATH);
      await card(lost.page, 'laundry').waitFor();
      await gateway.end('SIGTERM');
      await lost.page
        .locator('.fl-stale-notice')
        .getByText(/^As of /)
        .waitFor();
      await screenshot(lost.page, 'overview-stale');
      await lost.page.clock.fastForward(31_000);
      await lost.page.getByText('Not connected to the gateway').waitFor();
      await card(lost.page, 'laundry').waitFor();
      await screenshot(lost.page, 'overview-disconnected');
      await gateway.start();
      await lost.page.clock.fastForward(5_000);
      await lost.page.locator('.fl-connection.fl-live').waitFor();
      await lost.page.context().close();
    });
  });

  describe('with simulated machines', () => {
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

    it('counts them as they come', async () => {
      await card(page, 'laundry').getByText('3 shops, 15 controllers').waitFor();
      await card(page, 'firmware').getByText('1 rollout').waitFor();
    });

    for (const colorScheme of ['light', 'dark'] as const) {
      it(`is drawn for a person to look at, ${colorScheme}`, async () => {
        await page.emulateMedia({ colorScheme });
        await page.locator(`html[data-fieldloom-scheme^="${colorScheme}"]`).waitFor();
        await screenshot(page, `overview-${colorScheme}`);
      });
    }

    it('has complained of nothing, and asked no other host', () => assert.deepEqual(watched.complaints, []));
  });
});
