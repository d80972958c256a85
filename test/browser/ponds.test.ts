import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import type { Browser, Page } from 'playwright-core';
import { openBrowser, openPage, screenshot, sidewaysScroll, type WatchedPage } from '../support/browser.js';
import { Gateway } from '../support/gateway.js';

const PATH = '/dashboard/ponds';
const DEVICE = 'AA:BB:CC:DD:EE:FF';
const PASSWORD = 'only of this test';

interface SentCommand {
  command_id: string;
  command_type: string;
  pond_position: number;
  parameters: Record<string, unknown>;
}

/** A device that answers when the test says so. */
class Device {
  private readonly came: SentCommand[] = [];
  private readonly waiting: ((command: SentCommand) => void)[] = [];

  private constructor(private readonly client: MqttClient) {
    client.on('message', (_topic, payload) => {
      const command = JSON.parse(payload.toString()) as SentCommand;
      const taker = this.waiting.shift();
      if (taker === undefined) this.came.push(command);
      else taker(command);
    });
  }

  static async connect(url: string, login: IClientOptions): Promise<Device> {
    const client = await mqtt.connectAsync(url, login);
    const device = new Device(client);
    await client.subscribeAsync(`devices/${DEVICE}/commands`, { qos: 2 });
    return device;
  }

  /** The next command that it has been sent. */
  command(): Promise<SentCommand> {
    const first = this.came.shift();
    if (first !== undefined) return Promise.resolve(first);
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  async say(end: string, payload: object): Promise<void> {
    await this.client.publishAsync(`devices/${DEVICE}/${end}`, JSON.stringify(payload), { qos: 1 });
  }

  answer({ command_id }: SentCommand, outcome: object): Promise<void> {
    return this.say('ack', { command_id, timestamp: new Date().toISOString(), ...outcome });
  }

  end(): Promise<void> {
    return this.client.endAsync();
  }
}

const step = (page: Page, status: string, state: string) =>
  page.locator(`.fl-command-way [data-step="${status}"].fl-step-${state}`).first();

async function logIn(page: Page, name: string, password: string): Promise<void> {
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

/** How many pixels of a curve have a strong colour of their own. */
const drawnPixels = (page: Page, parameter: string) =>
  page.locator(`.fl-measurement[data-parameter="${parameter}"] fieldloom-curve`).evaluate((curve) => {
    const canvas = curve.shadowRoot?.querySelector('canvas');
    const context = canvas?.getContext('2d');
    if (!canvas || !context) return 0;
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      const [red = 0, green = 0, blue = 0, alpha = 0] = data.subarray(at, at + 4);
      if (alpha > 200 && Math.max(red, green, blue) - Math.min(red, green, blue) > 90) count += 1;
    }
    return count;
  });

describe('page Ponds', () => {
  let browser: Browser;

  before(async () => {
    browser = await openBrowser();
  });
  after(() => browser.close());

  describe('with a device of one’s own', () => {
    let gateway: Gateway;
    let device: Device;
    let watched: WatchedPage;
    let page: Page;
    const opened = () => page.locator('.fl-opened');
    const dialog = () => page.getByRole('dialog');

    before(async function () {
      this.timeout(90_000);
      gateway = await Gateway.create();
      await gateway.start();
      await gateway.command('user', 'add', 'ann', '--password-stdin', { input: PASSWORD });
      watched = await openPage(browser, gateway.url + PATH);
      page = watched.page;
    });
    after(async () => {
      await device?.end();
      await page?.context().close();
      await gateway?.remove();
    });

    it('asks who is there, also where reading is open', async () => {
      await page.getByRole('heading', { name: 'Log in to see your ponds' }).waitFor();
      await screenshot(page, 'ponds-login');
      await logIn(page, 'ann', PASSWORD);
      await page.locator('.fl-who').getByText('ann').waitFor();
    });

    it('says what to do next while there is no pond, with commands to copy', async () => {
      await page.getByRole('heading', { name: 'You have no pond yet' }).waitFor();
      const command = page.locator('.fl-command pre').first();
      assert.match(
        await command.innerText(),
        /^npm run -s fieldloom -- pond add --owner ann --device \S+ --position 1 --name "North pond"$/,
      );
      await page.getByRole('button', { name: /^Copy/ }).first().click();
      await page.getByText('Copied').waitFor();
      await screenshot(page, 'ponds-empty');
    });

    it('shows a new pond as soon as it is made, and what its device measures', async () => {
      const limits = ['--threshold', 'dissolved_oxygen=5:12', '--threshold', 'temperature=18:30'];
      const pond = (position: string, name: string) =>
        gateway.command(
          ...['pond', 'add', '--owner', 'ann', '--device', DEVICE, '--feed-limit', '2000'],
          ...['--position', position, '--name', name, ...limits],
        );
      await pond('1', 'North pond');
      await opened().getByRole('heading', { name: 'North pond' }).waitFor();
      await pond('2', 'South pond');
      const login = await gateway.command('access', 'add', '--role', 'device', '--device', DEVICE);
      device = await Device.connect(gateway.mqttUrl, login as IClientOptions);
      await device.say('data/startup', { firmware_version: '1.4.2', reason: 'power' });
      await device.say('data/heartbeat', { firmware_version: '1.4.2', uptime: 1 });
      const now = Date.now();
      for (let minute = 59; minute >= 0; minute -= 1) {
        const oxygen = 7 + Math.sin(minute / 9);
        await device.say('data/sensors', {
          pond_position: 1,
          timestamp: new Date(now - minute * 60_000).toISOString(),
          dissolved_oxygen: oxygen,
          temperature: 26 + minute / 60,
          ph: 7.2 + oxygen / 50,
        });
      }
      await page.getByRole('button', { name: 'All ponds' }).click();
      const card = page.locator('.fl-pond').filter({ hasText: 'North pond' });
      await card.getByText(/^Online, last heard/).waitFor();
      await card.locator('[data-parameter="temperature"]').getByText('26.0').waitFor();
      await card.locator('[data-parameter="dissolved_oxygen"]').getByText('in range').waitFor();
    });

    it('feeds by mouse: asks first, and shows the way to COMPLETED as it happens', async () => {
      await page.getByRole('button', { name: 'Details of North pond' }).click();
      await opened().getByRole('button', { name: 'Feed 100 g' }).click();
      await dialog().getByText('Feed 100 g into North pond?').waitFor();
      const pressed = Date.now();
      await dialog().getByRole('button', { name: 'Feed 100 g' }).click();
      await opened().locator('.fl-progress').getByText('On its way').waitFor();
      assert.ok(Date.now() - pressed < 1000);

      const command = await device.command();
      assert.deepEqual([command.command_type, command.pond_position], ['FEED', 1]);
      assert.equal(command.parameters['amount'], 100);
      await step(page, 'PENDING', 'done').waitFor();
      await step(page, 'SENT', 'now').waitFor();
      await device.answer(command, { message: 'received' });
      await step(page, 'ACKNOWLEDGED', 'now').waitFor();
      await screenshot(page, 'ponds-acknowledged');
      await device.answer(command, { success: true, message: 'Feed command executed successfully' });
      await step(page, 'COMPLETED', 'done').waitFor();
      await opened().getByText('Done. The device says: Feed command executed successfully').first().waitFor();
      assert.match((await page.locator('p[role="status"]').first().textContent()) ?? '', /Feed 100 g: Done/);
    });

    it('feeds by keyboard alone, and not without an answer to its question', async () => {
      const preset = opened().getByRole('button', { name: 'Feed 50 g' });
      await preset.focus();
      await page.keyboard.press('Enter');
      await dialog().waitFor();
      assert.equal(await page.evaluate(() => document.activeElement?.textContent?.trim()), 'Cancel');
      await page.keyboard.press('Escape');
      await dialog().waitFor({ state: 'hidden' });
      assert.equal(await preset.evaluate((element) => element === document.activeElement), true);
      await page.keyboard.press('Enter');
      await dialog().waitFor();
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      const command = await device.command();
      assert.equal(command.parameters['amount'], 50);
      await device.answer(command, { success: true });
      await opened()
        .locator('[data-history]')
        .filter({ hasText: 'Feed 50 g' })
        .locator('.fl-pill', { hasText: 'COMPLETED' })
        .waitFor();
    });

    it('takes an amount of one’s own up to the limit of the pond', async () => {
      const amount = page.getByLabel('Other amount in grams');
      await amount.fill('2500');
      await opened().getByText('At most 2000 g at once are allowed for this pond.').waitFor();
      await amount.press('Enter');
      assert.equal(await dialog().isVisible(), false);
      await amount.fill('12,5');
      await amount.press('Enter');
      await dialog().getByRole('button', { name: 'Feed 12.5 g' }).click();
      const command = await device.command();
      assert.equal(command.parameters['amount'], 12.5);
      await device.answer(command, { success: true });
      await step(page, 'COMPLETED', 'done').waitFor();
    });

    it('opens the water valve for a time', async () => {
      await page.getByLabel('Open for').selectOption('30 min');
      await opened().getByRole('button', { name: 'Open …' }).click();
      await dialog().getByText('Open the water valve for 30 min, North pond?').waitFor();
      await dialog().getByRole('button', { name: 'Open the valve' }).click();
      const command = await device.command();
      assert.equal(command.command_type, 'WATER_VALVE');
      assert.deepEqual([command.parameters['action'], command.parameters['duration_s']], ['open', 1800]);
      await device.answer(command, { success: true });
      await opened()
        .locator('[data-history]')
        .filter({ hasText: 'Open the water valve for 30 min' })
        .locator('.fl-pill', { hasText: 'COMPLETED' })
        .waitFor();
    });

    it('says what went wrong in the words of the device', async () => {
      await opened().getByRole('button', { name: 'Feed 250 g' }).click();
      await dialog().getByRole('button', { name: 'Feed 250 g' }).click();
      await device.answer(await device.command(), { success: false, message: 'feeder motor blocked' });
      await step(page, 'FAILED', 'failed').waitFor();
      await opened()
        .locator('.fl-command-way')
        .getByText('The device could not do it. It says: feeder motor blocked')
        .waitFor();
      await screenshot(page, 'ponds-failed');
    });

    it('cancels a command that the device does not answer, and says that it may have fed all the same', async () => {
      await opened().getByRole('button', { name: 'Feed 100 g' }).click();
      await dialog().getByRole('button', { name: 'Feed 100 g' }).click();
      const command = await device.command();
      await step(page, 'SENT', 'now').waitFor();
      await opened().getByRole('button', { name: 'Cancel Feed 100 g' }).click();
      await step(page, 'CANCELLED', 'failed').waitFor();
      await opened()
        .locator('.fl-command-way')
        .getByText(/^Cancelled, but it had been sent already\. It may have fed all the same/)
        .waitFor();
      await device.answer(command, { success: false, message: 'too late' });
    });

    it('keeps a history with the steps of each command', async () => {
      const entry = opened().locator('[data-history]').filter({ hasText: 'Feed 100 g' }).last();
      await entry.locator('summary').click();
      const lines = entry.locator('.fl-lines li');
      await lines.filter({ hasText: 'PENDING: stored' }).waitFor();
      await lines.filter({ hasText: 'SENT: sent to the device' }).waitFor();
      await lines.filter({ hasText: 'COMPLETED' }).waitFor();
      assert.equal(await opened().locator('[data-history]').count(), 6);
    });

    it('draws the curve of the last hour, and reads it value by value with the arrow keys', async () => {
      assert.ok((await drawnPixels(page, 'dissolved_oxygen')) > 500);
      const curve = page.locator('.fl-measurement[data-parameter="dissolved_oxygen"] fieldloom-curve');
      assert.match((await curve.getAttribute('aria-label')) ?? '', /^Oxygen, last hour: 6\.0 to 8\.0 mg\/L$/);
      await curve.focus();
      await page.keyboard.press('Home');
      const first = await curve.getAttribute('aria-valuetext');
      await page.keyboard.press('ArrowRight');
      const second = await curve.getAttribute('aria-valuetext');
      // Soon after midnight the hour began on the day before.
      assert.match(first ?? '', /^(\w{3} \d+, )?\d\d:\d\d:\d\d {2}\d\.\d mg\/L$/);
      assert.notEqual(first, second);
      await page.getByRole('button', { name: '24 h' }).click();
      await page.locator('fieldloom-curve[aria-label^="Oxygen, last 24 hours: 6.0 to 8.0"]').waitFor();
    });

    it('shows a new measurement at once', async () => {
      const now = new Date().toISOString();
      await device.say('data/sensors', { pond_position: 1, timestamp: now, dissolved_oxygen: 3.9 });
      const oxygen = page.locator('.fl-measurement[data-parameter="dissolved_oxygen"]');
      await oxygen.getByText('3.9').waitFor();
      await oxygen.getByText('too low').waitFor();
    });

    it('puts an alert first until somebody has acknowledged it, and takes it away when it is over', async () => {
      const alert = { pond_position: 1, parameter: 'dissolved_oxygen' };
      await device.say('threshold', {
        ...alert,
        value: 3.9,
        limit: 5,
        severity: 'critical',
        message: 'Oxygen is low',
      });
      await opened()
        .locator('.fl-alert strong', { hasText: 'Oxygen 3.9 mg/L, at least 5 mg/L wanted' })
        .waitFor();
      await page.getByRole('button', { name: 'All ponds' }).click();
      await page.getByRole('button', { name: /^North pond: Oxygen 3\.9 mg\/L/ }).click();
      await screenshot(page, 'ponds-alert');
      await opened()
        .getByRole('button', { name: /^Acknowledge/ })
        .click();
      await opened()
        .getByText(/^Acknowledged by ann \d/)
        .waitFor();
      await device.say('threshold', { ...alert, value: 6.1, cleared: true });
      await opened().locator('.fl-alert').waitFor({ state: 'detached' });
    });

    for (const colorScheme of ['light', 'dark'] as const) {
      it(`fits a telephone of 390 px, ${colorScheme}`, async () => {
        const phone = await openPage(browser, gateway.url + PATH, {
          viewport: { width: 390, height: 844 },
          colorScheme,
        });
        await logIn(phone.page, 'ann', PASSWORD);
        await phone.page.locator('.fl-pond').nth(1).waitFor();
        assert.equal(await sidewaysScroll(phone.page), 0);
        await screenshot(phone.page, `ponds-390-${colorScheme}`);
        await phone.page.getByRole('button', { name: 'Details of North pond' }).click();
        await phone.page.locator('fieldloom-curve').first().waitFor();
        assert.equal(await sidewaysScroll(phone.page), 0);
        await screenshot(phone.page, `ponds-390-opened-${colorScheme}`);
        await phone.page.locator('.fl-opened').getByRole('button', { name: 'Feed 100 g' }).click();
        const box = await phone.page.getByRole('dialog').boundingBox();
        assert.ok(box !== null && box.x >= 0 && box.x + box.width <= 390);
        await screenshot(phone.page, `ponds-390-confirm-${colorScheme}`);
        assert.deepEqual(phone.complaints, []);
        await phone.page.context().close();
      });
    }

    it('shows nothing to who is not logged in any more', async () => {
      const other = await openPage(browser, gateway.url + PATH);
      await logIn(other.page, 'ann', PASSWORD);
      await other.page.locator('.fl-pond').first().waitFor();
      await other.page.getByRole('button', { name: 'Log out' }).click();
      await other.page.getByRole('heading', { name: 'Log in to see your ponds' }).waitFor();
      await other.page.reload();
      await other.page.getByRole('heading', { name: 'Log in to see your ponds' }).waitFor();
      assert.equal(await other.page.getByText('North pond').count(), 0);
      assert.deepEqual(other.complaints, []);
      await other.page.context().close();
    });

    it('says when name or password is wrong', async () => {
      const other = await openPage(browser, gateway.url + PATH);
      await logIn(other.page, 'ann', 'wrong');
      await other.page.getByText('Name or password is wrong.').waitFor();
      await other.page.context().close();
    });

    it('has complained of nothing so far', () => assert.deepEqual(watched.complaints, []));

    it('is stale when the gateway goes, disconnected after half a minute, and live again by itself', async function () {
      this.timeout(90_000);
      const lost = await openPage(browser, 'about:blank');
      await lost.page.clock.install();
      await lost.page.goto(gateway.url + PATH);
      await logIn(lost.page, 'ann', PASSWORD);
      await lost.page.locator('.fl-pond').first().waitFor();
      await lost.page.locator('.fl-connection.fl-live').waitFor();
      await gateway.end('SIGTERM');
      await lost.page
        .locator('.fl-stale-notice')
        .getByText(/^As of /)
        .waitFor();
      await screenshot(lost.page, 'ponds-stale');
      await lost.page.clock.fastForward(31_000);
      await lost.page.getByText('Not connected to the gateway').waitFor();
      await lost.page.locator('.fl-pond').first().waitFor();
      await screenshot(lost.page, 'ponds-disconnected');
      await gateway.start();
      await lost.page.clock.fastForward(30_000);
      await lost.page.locator('.fl-connection.fl-live').waitFor();
      await lost.page.context().close();
    });
  });

  describe('with simulated ponds', () => {
    let gateway: Gateway;
    let watched: WatchedPage;
    let page: Page;

    before(async function () {
      this.timeout(90_000);
      gateway = await Gateway.create({ SIMULATE: '1' });
      await gateway.start();
      watched = await openPage(browser, gateway.url + PATH);
      page = watched.page;
      const password = await readFile(join(gateway.directory, 'demo-password'), 'utf8');
      await logIn(page, 'demo', password.trim());
    });
    after(async () => {
      await page?.context().close();
      await gateway?.remove();
    });

    it('shows the four ponds of two devices, with what they measure', async () => {
      await page.locator('.fl-pond').nth(3).locator('.fl-reading').nth(2).waitFor();
      assert.equal(await page.locator('.fl-pond').count(), 4);
      assert.equal(await page.locator('.fl-device-online.fl-pond').count(), 4);
    });

    it('feeds a pond from its card', async () => {
      const card = page.locator('.fl-pond').filter({ hasText: 'North pond' });
      await card.getByRole('button', { name: 'Feed 50 g' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Feed 50 g' }).click();
      await card.getByText(/^Fed 50 g|^Feed 50 g: failed/).waitFor({ timeout: 55_000 });
    });

    it('shows what changes as it changes', async () => {
      await page
        .getByRole('navigation', { name: 'Ponds' })
        .getByRole('button', { name: /^South pond/ })
        .click();
      await page.locator('fieldloom-curve').first().waitFor();
      const before = Date.now();
      await page.waitForFunction(
        (old) => {
          const curve = document.querySelector<HTMLElement & { curve?: { times: number[] } }>(
            'fieldloom-curve',
          );
          return (curve?.curve?.times.at(-1) ?? 0) > old;
        },
        before,
        { timeout: 30_000 },
      );
    });

    it('has a day of curves from the first start on', async () => {
      await page.getByRole('button', { name: '24 h' }).click();
      const curve = page.locator('fieldloom-curve[aria-label^="Temperature, last 24 hours: "]');
      await curve.waitFor();
      await page.waitForFunction(() => {
        const found = document.querySelector<HTMLElement & { curve?: { values: unknown[] } }>(
          'fieldloom-curve',
        );
        return (found?.curve?.values.length ?? 0) > 140;
      });
    });

    for (const colorScheme of ['light', 'dark'] as const) {
      it(`is drawn for a person to look at, ${colorScheme}`, async () => {
        await page.emulateMedia({ colorScheme });
        await page.locator(`html[data-fieldloom-scheme^="${colorScheme}"]`).waitFor();
        await screenshot(page, `ponds-opened-${colorScheme}`);
        await page.getByRole('button', { name: 'All ponds' }).click();
        await page.locator('.fl-pond').first().waitFor();
        await screenshot(page, `ponds-${colorScheme}`);
        await page.getByRole('button', { name: 'Details of South pond' }).click();
        await page.locator('fieldloom-curve').first().waitFor();
      });
    }

    it('has complained of nothing, and asked no other host', () => assert.deepEqual(watched.complaints, []));
  });
});
