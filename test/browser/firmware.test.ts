import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { IClientOptions } from 'mqtt';
import type { Browser, Page } from 'playwright-core';
import { openBrowser, openPage, screenshot, sidewaysScroll, type WatchedPage } from '../support/browser.js';
import { simulatedFleet, type TestController, type WireMessage } from '../support/firmware.js';
import { Gateway, simulatedGateway } from '../support/gateway.js';

const PATH = '/dashboard/firmware';
const PASSWORD = 'only of this test';
const IMAGE = randomBytes(300 * 1024);
const CONTROLLERS = 12;

/** Controllers that do what a test tells them, when it does. */
class Fleet {
  /** Asked, and not answered yet. */
  readonly open = new Map<number, WireMessage>();
  /** Answers at once instead. */
  obeys = false;
  private waiting: (() => void)[] = [];
  private fleet: Awaited<ReturnType<typeof simulatedFleet>> | undefined;

  static async connect(url: string, login: IClientOptions): Promise<Fleet> {
    const fleet = new Fleet();
    fleet.fleet = await simulatedFleet(url, login, CONTROLLERS, (index) => (message, controller) => {
      fleet.take(index, message, controller);
    });
    return fleet;
  }

  get controllers(): readonly TestController[] {
    return this.fleet?.controllers ?? [];
  }

  private take(index: number, message: WireMessage, controller: TestController): void {
    if (message.event_type === 'cancel_update_firmware') {
      this.open.delete(index);
      void controller.say('cancel_update_firmware_ack', message);
      return;
    }
    void controller.say('update_firmware_ack', message);
    if (this.obeys) void controller.say('update_firmware_completed', message);
    else this.open.set(index, message);
    for (const wake of this.waiting.splice(0)) wake();
  }

  /** Fulfils when so many are asked and not answered. */
  async asked(count: number): Promise<void> {
    while (this.open.size < count) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  /** Each that is asked completes, but for those that fail. */
  async finish(failing: readonly number[] = []): Promise<void> {
    for (const [index, message] of this.open) {
      const controller = this.controllers[index] as TestController;
      if (failing.includes(index)) {
        await controller.say('update_firmware_failed', message, { errors: ['no space left on the device'] });
      } else await controller.say('update_firmware_completed', message);
    }
    this.open.clear();
  }

  /** They are there: what makes them known to the gateway. */
  async report(): Promise<void> {
    for (const { storeId, controllerId } of this.controllers) {
      const message = {
        ...{ version: '1.0.0', event_type: 'machine_state', timestamp: new Date().toISOString() },
        ...{ correlation_id: controllerId, controller_id: controllerId, store_id: storeId },
        payload: { machines: [] },
      };
      const topic = `/stores/${storeId}/controllers/${controllerId}/metrics`;
      await this.fleet?.client.publishAsync(topic, JSON.stringify(message), { qos: 1 });
    }
  }

  async end(): Promise<void> {
    await this.fleet?.close();
  }
}

async function logIn(page: Page, name: string, password: string): Promise<void> {
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: /^Log in/ }).click();
}

const stage = (page: Page, number: number) => page.locator(`[data-stage="${number - 1}"]`);
const rowOf = (page: Page, controller: TestController) =>
  page.locator('[data-target]').filter({ hasText: controller.controllerId });

describe('page Firmware', () => {
  let browser: Browser;

  /** What it simulates takes its time: it has that while the other tests run. */
  let simulated: Promise<Gateway>;

  before(async () => {
    browser = await openBrowser();
    simulated = simulatedGateway();
    simulated.catch(() => {}); // its tests tell
  });
  after(async () => {
    await browser.close();
    await (await simulated).remove();
  });

  describe('with controllers of one’s own', () => {
    let gateway: Gateway;
    let fleet: Fleet;
    let watched: WatchedPage;
    let page: Page;
    const dialog = () => page.getByRole('dialog');
    const opened = () => page.locator('.fl-fw-opened');

    before(async function () {
      this.timeout(90_000);
      gateway = await Gateway.create();
      await gateway.start();
      await gateway.command('user', 'add', 'ann', '--password-stdin', '--admin', { input: PASSWORD });
      const login = (await gateway.command('access', 'add', '--role', 'service')) as IClientOptions;
      fleet = await Fleet.connect(gateway.mqttUrl, login);
      watched = await openPage(browser, gateway.url + PATH);
      page = watched.page;
    });
    after(async () => {
      await page?.context().close();
      await fleet?.end();
      await gateway?.remove();
    });

    it('says what to do next while there is nothing, with commands to copy', async () => {
      await page.getByRole('heading', { name: 'No firmware was rolled out yet' }).waitFor();
      const commands = page.locator('.fl-command pre');
      assert.match(await commands.first().innerText(), /user add NAME --password-stdin --admin$/);
      assert.equal(await commands.count(), 4);
      await screenshot(page, 'firmware-empty');
    });

    it('uploads an image by mouse: asks for a login, shows its way, and its digests afterwards', async () => {
      await page.getByRole('button', { name: 'Upload', exact: true }).click();
      await page.getByText('Choose the image file.').waitFor();
      const file = { name: 'firmware-1-0-1.bin', mimeType: 'application/octet-stream', buffer: IMAGE };
      await page.getByLabel('Image file').setInputFiles(file);
      assert.equal(await page.getByLabel('Version').inputValue(), '1.0.1');
      await page.getByRole('button', { name: 'Upload', exact: true }).click();
      await dialog().getByRole('heading', { name: 'Changing firmware wants a login' }).waitFor();
      await logIn(page, 'ann', PASSWORD);
      await page.getByText('Version 1.0.1 is stored: 300 KiB.').waitFor();
      const image = page.locator('[data-image]');
      for (const digest of ['md5', 'sha256']) {
        await image.getByText(createHash(digest).update(IMAGE).digest('hex'), { exact: true }).waitFor();
      }
      await page.locator('.fl-who').getByText('ann').waitFor();
    });

    it('says before it is sent that a version is there already', async () => {
      await page
        .getByLabel('Image file')
        .setInputFiles({ name: 'x.bin', mimeType: '', buffer: Buffer.from('x') });
      await page.getByLabel('Version').fill('1.0.1');
      await page.getByRole('button', { name: 'Upload', exact: true }).click();
      await page.getByText(/^Version 1\.0\.1 is there already/).waitFor();
      await page.getByLabel('Version').fill('');
    });

    it('checks a new rollout before it is sent, and goes to the first field that is wrong', async () => {
      await fleet.report();
      await page.getByRole('button', { name: 'New rollout' }).click();
      await page.getByText(`0 of ${CONTROLLERS}`).waitFor();
      await page.getByRole('button', { name: 'Start the rollout' }).click();
      await page.getByText('Choose at least one controller.').waitFor();
      await page.getByLabel(/^All controllers of store/).check();
      await page.getByText(`${CONTROLLERS} controllers`, { exact: true }).waitFor();
      const size = page.locator('[data-field="stages.1.size"]');
      await size.fill('0');
      await page.getByRole('button', { name: 'Start the rollout' }).click();
      await page.getByText('A share is above 0 and at most 100 %.').waitFor();
      assert.equal(await size.evaluate((element) => element === document.activeElement), true);
      await size.fill('25');
      assert.deepEqual(await page.locator('.fl-fw-edit legend .fl-muted').allInnerTexts(), [
        '1 controller',
        '2 controllers more',
        '9 controllers more',
      ]);
      for (const index of [0, 1]) await page.locator(`[data-field="stages.${index}.soakMinutes"]`).fill('0');
      await page.locator('[data-field="stages.2.error"]').fill('50');
      await page.getByLabel('Name').fill('First update');
      await screenshot(page, 'firmware-new');
    });

    it('starts it, and shows the first stage as it fills up', async () => {
      await page.getByRole('button', { name: 'Start the rollout' }).click();
      await opened().getByRole('heading', { name: 'First update' }).waitFor();
      await fleet.asked(1);
      await stage(page, 1).getByRole('button', { name: '1 Updating' }).waitFor();
      assert.match((await stage(page, 1).getByRole('img').getAttribute('aria-label')) ?? '', /1 updating/);
      await fleet.finish();
      await opened().locator('.fl-fw-wait').getByText('Waits for a person’s approval of stage 1.').waitFor();
    });

    it('says what an approval does before it is given, and goes on', async () => {
      await opened().getByRole('button', { name: 'Approve' }).click();
      await dialog().getByText('Stage 2 begins: 2 controllers more get 1.0.1.').waitFor();
      const pressed = Date.now();
      await dialog().getByRole('button', { name: 'Approve' }).click();
      await opened().locator('.fl-fw-press').waitFor();
      assert.ok(Date.now() - pressed < 1000);
      await opened()
        .getByText(/^Approved at /)
        .waitFor();
      await fleet.asked(2);
      await fleet.finish();
      await fleet.asked(9);
      await stage(page, 3).getByRole('button', { name: '9 Updating' }).waitFor();
      await screenshot(page, 'firmware-running');
    });

    it('pauses and resumes', async () => {
      await opened().getByRole('button', { name: 'Pause' }).click();
      await dialog().getByText('9 controllers under way finish what they do.').waitFor();
      await dialog().getByRole('button', { name: 'Pause' }).click();
      await opened().locator('.fl-fw-wait').getByText('Paused: paused by a person.').waitFor();
      await opened().getByRole('button', { name: 'Resume' }).click();
      await dialog().getByRole('button', { name: 'Resume' }).click();
      await opened()
        .getByText(/^Resumed at /)
        .waitFor();
    });

    it('tells why a controller has failed, in its row and in its timeline', async () => {
      const index = [...fleet.open.keys()].at(-1) as number;
      await fleet.finish([index]);
      const failed = fleet.controllers[index] as TestController;
      await rowOf(page, failed).getByText('no space left on the device').waitFor();
      await rowOf(page, failed).click();
      const timeline = page.locator('.fl-fw-timeline');
      await timeline.getByText('Failed: no space left on the device').waitFor();
      assert.deepEqual(await timeline.locator('.fl-fw-lines li span:nth-child(2)').allInnerTexts(), [
        'Planned',
        'Asked to update',
        'The controller has accepted it',
        'Failed: no space left on the device',
      ]);
      await screenshot(page, 'firmware-failed');
    });

    it('shows the controllers of one state when its count is pressed', async () => {
      await stage(page, 3).getByRole('button', { name: '1 Failed' }).click();
      await page.locator('.fl-fw-targets').getByText('1 controller', { exact: true }).waitFor();
      await page.locator('[data-target]').waitFor();
      assert.equal(await page.locator('[data-target]').count(), 1);
      await page.getByLabel('State', { exact: true }).selectOption('All states');
      await page.getByLabel('Stage', { exact: true }).selectOption('All stages');
      await page
        .locator('[data-target]')
        .nth(CONTROLLERS - 1)
        .waitFor();
    });

    it('tries a failed controller again', async () => {
      // 8 of 9 are fewer than the 95 % that stage 3 wants: it waits for a person.
      await opened()
        .locator('.fl-fw-wait')
        .getByText(/^Paused: stage 3: 8 of 9 completed/)
        .waitFor();
      await page.locator('.fl-fw-timeline').getByRole('button', { name: 'Retry this controller' }).click();
      await dialog().getByRole('button', { name: 'Retry' }).click();
      await fleet.asked(1);
      await fleet.finish();
      await opened()
        .locator('.fl-fw-wait')
        .getByText(/^12 of 12 controllers run 1\.0\.1\./)
        .waitFor();
      await page.locator('[data-target]').filter({ hasText: 'tried again' }).waitFor();
      await page.getByText('12 controllers, 13 attempts').waitFor();
    });

    it('makes, starts and cancels a rollout by keyboard alone', async () => {
      const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? '');
      /** Tab by tab to what has this text or label. */
      const go = async (name: RegExp) => {
        for (let presses = 0; presses < 60; presses += 1) {
          const label = await page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? '');
          if (name.test(await focused()) || name.test(label)) return;
          await page.keyboard.press('Tab');
        }
        throw new Error(`${name} cannot be reached`);
      };
      await page.getByRole('button', { name: 'All rollouts' }).focus();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Images' }).waitFor();
      await page.getByRole('button', { name: 'Log out' }).focus();
      await go(/^New rollout$/);
      await page.keyboard.press('Enter');
      await page.getByText(`0 of ${CONTROLLERS}`).waitFor();
      await go(/^All controllers of store/);
      await page.keyboard.press('Space');
      await go(/^Pace, deadline/);
      await page.keyboard.press('Enter');
      const forced = page.getByLabel('Accept a lower version');
      while (!(await forced.evaluate((element) => element === document.activeElement)))
        await page.keyboard.press('Tab');
      await go(/^Keep as a draft$/);
      await page.keyboard.press('Enter');
      await opened()
        .locator('.fl-fw-wait')
        .getByText(/^A draft/)
        .waitFor();
      await page.getByRole('button', { name: 'All rollouts' }).focus();
      await go(/^Cancel$/);
      await page.keyboard.press('Enter');
      await dialog().getByText('12 are not started.').waitFor();
      assert.equal(await focused(), 'Back');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await opened().locator('.fl-fw-wait').getByText('Cancelled by a person.').waitFor();
    });

    it('moves through the controllers by keys, opens one and comes back', async () => {
      await page.locator('[data-target][tabindex="0"]').focus();
      await page.keyboard.press('End');
      await page.keyboard.press('ArrowUp');
      const index = () => page.evaluate(() => (document.activeElement as HTMLElement).dataset['index']);
      assert.equal(await index(), String(CONTROLLERS - 2));
      await page.keyboard.press('Enter');
      await page.locator('.fl-fw-timeline:focus').waitFor();
      await page.keyboard.press('Escape');
      await page.locator('.fl-fw-timeline').waitFor({ state: 'detached' });
      assert.equal(await index(), String(CONTROLLERS - 2));
    });

    for (const colorScheme of ['light', 'dark'] as const) {
      it(`fits a phone, ${colorScheme}`, async () => {
        await page.setViewportSize({ width: 390, height: 844 });
        await page.emulateMedia({ colorScheme });
        await page.locator(`html[data-fieldloom-scheme^="${colorScheme}"]`).waitFor();
        const look = async (name: string) => {
          assert.equal(await sidewaysScroll(page), 0, name);
          await screenshot(page, `firmware-phone-${name}-${colorScheme}`);
        };
        await page.getByRole('button', { name: 'All rollouts' }).click();
        await page.getByRole('heading', { name: 'Images' }).waitFor();
        await look('list');
        await page.getByRole('button', { name: 'New rollout' }).click();
        await page.getByText(`0 of ${CONTROLLERS}`).waitFor();
        await look('new');
        await page.getByRole('button', { name: 'All rollouts' }).click();
        await page.locator('.fl-fw-rollout').filter({ hasText: 'First update' }).click();
        await opened().locator('[data-target]').first().waitFor();
        await look('opened');
      });
    }

    it('has complained of nothing, and asked no other host', () => assert.deepEqual(watched.complaints, []));

    it('says that it is not connected, and is live again by itself', async () => {
      await gateway.end('SIGKILL');
      await page.locator('.fl-connection.fl-stale, .fl-connection.fl-disconnected').waitFor();
      await page.locator('fieldloom-notices .fl-notice').first().waitFor();
      await screenshot(page, 'firmware-lost');
      await gateway.start();
      await page.locator('.fl-connection.fl-live').waitFor({ timeout: 40_000 });
    }).timeout(90_000);
  });

  describe('with simulated controllers', () => {
    let gateway: Gateway;
    let watched: WatchedPage;
    let page: Page;

    before(async function () {
      this.timeout(90_000);
      gateway = await simulated;
      watched = await openPage(browser, gateway.url + PATH);
      page = watched.page;
    });
    after(async () => {
      await page?.context().close();
    });

    it('shows a first rollout, which waits for a person after two stages', async () => {
      await page.locator('.fl-fw-rollout').filter({ hasText: 'Spring update' }).click();
      await page.locator('[data-target]').nth(11).waitFor();
      await page.getByText('Waits for a person’s approval of stage 2.').first().waitFor({ timeout: 90_000 });
    }).timeout(120_000);

    it('asks for a login when that is pressed, and goes on with it', async () => {
      await page.getByRole('button', { name: 'Approve' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Approve' }).click();
      await page.getByRole('heading', { name: 'Changing firmware wants a login' }).waitFor();
      const password = await readFile(join(gateway.directory, 'demo-password'), 'utf8');
      await logIn(page, 'demo', password.trim());
      await page.getByText(/^Approved at /).waitFor();
      // The gateway's refusal that has asked for the login.
      assert.match(watched.complaints.splice(0).join(), /401/);
    });

    it('shows the one that fails, the one that lies and the one that is away', async () => {
      const rows = page.locator('[data-target]');
      await rows.filter({ hasText: 'not enough room in the second slot' }).waitFor();
      await rows.filter({ hasText: 'the controller runs 1.0.0, not 1.1.0' }).waitFor();
      await rows.filter({ hasText: 'controller offline: waits for it' }).waitFor({ timeout: 120_000 });
    }).timeout(150_000);

    for (const colorScheme of ['light', 'dark'] as const) {
      it(`is drawn for a person to look at, ${colorScheme}`, async () => {
        await page.emulateMedia({ colorScheme });
        await page.locator(`html[data-fieldloom-scheme^="${colorScheme}"]`).waitFor();
        await page.locator('[data-target]').filter({ hasText: 'Failed' }).first().click();
        await page.locator('.fl-fw-timeline .fl-fw-lines li').nth(3).waitFor();
        await page.evaluate(() => window.scrollTo({ top: 0 }));
        await screenshot(page, `firmware-opened-${colorScheme}`);
        await page.getByRole('button', { name: 'All rollouts' }).click();
        await page.locator('.fl-fw-rollout').first().waitFor();
        await screenshot(page, `firmware-${colorScheme}`);
        await page.locator('.fl-fw-rollout').first().click();
      });
    }

    it('has complained of nothing, and asked no other host', () => assert.deepEqual(watched.complaints, []));
  });
});
