import assert from 'node:assert/strict';
import { setInterval } from 'node:timers/promises';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import type { Browser, Page } from 'playwright-core';
import { openBrowser, openPage, screenshot, sidewaysScroll, type WatchedPage } from '../support/browser.js';
import { eventually, Gateway, simulatedGateway } from '../support/gateway.js';
import { STATUS, TELEMETRY, WILL } from '../support/solar.js';

const PATH = '/dashboard/solar';
const PASSWORD = 'only of this test';
/** The flows allow the machines of this company start_cleaning and stop, with a schema. */
const COMPANY = 'sunfield';

type Login = IClientOptions & { username: string; password: string };

const topicOf = (machine: string, kind: string, company = COMPANY) =>
  `company/${company}/machine/${machine}/${kind}`;
const tile = (page: Page, machine: string, company = COMPANY) =>
  page.locator(`.fl-tile[data-machine="${company}/${machine}"]`);
const opened = (page: Page) => page.locator('.fl-opened');

/** How many pixels of a curve have a strong colour of their own. */
const drawnPixels = (page: Page, measurement: string) =>
  page.locator(`[data-measurement="${measurement}"] fieldloom-curve`).evaluate((curve) => {
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

/** Waits until a curve is drawn, which has to be soon. @returns after so many ms */
async function untilDrawn(page: Page, measurement: string): Promise<number> {
  const began = Date.now();
  for await (const _ of setInterval(10)) {
    assert.ok(Date.now() - began < 10_000, 'no curve');
    const found = await page.locator(`[data-measurement="${measurement}"] fieldloom-curve`).count();
    if (found > 0 && (await drawnPixels(page, measurement)) > 50) break;
  }
  return Date.now() - began;
}

async function logIn(page: Page, name: string, action: string): Promise<void> {
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: action }).click();
}

describe('page Solar', () => {
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

  describe('with machines of one’s own', () => {
    let gateway: Gateway;
    let watched: WatchedPage;
    let page: Page;
    const clients: MqttClient[] = [];
    let a: MqttClient;
    const commands: { command: string; params?: Record<string, unknown> }[] = [];

    const loginOf = async (machine: string, company = COMPANY) =>
      (await gateway.command(
        ...['access', 'add', '--role', 'machine', '--company', company, '--machine', machine],
      )) as Login;
    const connect = async (machine: string, company = COMPANY) => {
      const client = await mqtt.connectAsync(gateway.mqttUrl, {
        ...(await loginOf(machine, company)),
        reconnectPeriod: 0,
        will: {
          topic: topicOf(machine, 'status', company),
          payload: Buffer.from(WILL),
          qos: 1,
          retain: false,
        },
      });
      clients.push(client);
      return client;
    };
    const say = (client: MqttClient, machine: string, kind: string, payload: string, company = COMPANY) =>
      client.publishAsync(topicOf(machine, kind, company), payload, { qos: 1 });

    before(async function () {
      this.timeout(90_000);
      gateway = await Gateway.create();
      await gateway.start();
      await gateway.command(
        'user',
        'add',
        'ann',
        '--company',
        COMPANY,
        '--company',
        'elsewhere',
        '--password-stdin',
        {
          input: PASSWORD,
        },
      );
      watched = await openPage(browser, gateway.url + PATH);
      page = watched.page;
    });
    after(async () => {
      for (const client of clients) await client.endAsync(true);
      await page?.context().close();
      await gateway?.remove();
    });

    it('says what to do next while there is no machine, with commands to copy', async () => {
      await page.getByRole('heading', { name: 'No machine has reported yet' }).waitFor();
      const command = page.locator('.fl-command pre').first();
      assert.match(
        await command.innerText(),
        /^npm run -s fieldloom -- access add --role machine --company \S+ --machine \S+$/,
      );
      await page.getByRole('button', { name: 'Copy' }).first().click();
      await page.getByText('Copied').waitFor();
      await screenshot(page, 'solar-empty');
    });

    it('shows what the document’s messages say within a second of their acknowledgement', async () => {
      a = await connect('A');
      a.on('message', (_topic, payload) => commands.push(JSON.parse(payload.toString())));
      await a.subscribeAsync(topicOf('A', 'command'), { qos: 1 });
      await say(a, 'A', 'telemetry', TELEMETRY);
      await say(a, 'A', 'status', STATUS);
      await tile(page, 'A').getByText('Running').waitFor();
      await say(a, 'A', 'telemetry', '{"battery":12.4,"solar_v":20,"solar_a":2,"water":15}');
      const acknowledged = Date.now();
      await tile(page, 'A').getByText('12.4 V').waitFor();
      assert.ok(Date.now() - acknowledged < 1000);
      const text = await tile(page, 'A').innerText();
      for (const figure of ['40 W', '450 m²', '15 %']) assert.ok(text.includes(figure), figure);
    });

    it('shows a last will and a long silence as two things, each with its word', async () => {
      const b = await connect('B');
      const c = await connect('C');
      await say(b, 'B', 'status', STATUS);
      await tile(page, 'B').and(page.locator('.fl-look-running')).waitFor();
      b.stream.destroy();
      // The gateway learns this machine's rhythm of a second, and misses it after three.
      let spoken = 0;
      for await (const _ of setInterval(1000)) {
        await say(c, 'C', 'telemetry', TELEMETRY);
        spoken += 1;
        if (spoken === 6) break;
      }
      await tile(page, 'B').and(page.locator('.fl-look-offline')).getByText('Offline').waitFor();
      await tile(page, 'C').and(page.locator('.fl-look-stale')).getByText('Stale').waitFor();
      await page.getByRole('button', { name: /^B is offline/ }).waitFor();
      await page.getByRole('button', { name: /^C says nothing/ }).waitFor();
      await screenshot(page, 'solar-away');
      for (const [filter, machine] of [
        ['Offline 1', 'B'],
        ['Stale 1', 'C'],
        ['Running 1', 'A'],
      ] as const) {
        await page.getByRole('button', { name: filter }).click();
        await tile(page, machine).waitFor();
        assert.equal(await page.locator('.fl-tile').count(), 1, filter);
      }
      await page.getByRole('button', { name: /^All \d/ }).click();
      await page.getByRole('searchbox').fill('b');
      await tile(page, 'A').waitFor({ state: 'detached' });
      await page.getByRole('searchbox').fill('');
    });

    it('shows the same machines as a table, which is sorted by any column', async () => {
      await page.getByRole('button', { name: 'Table' }).click();
      const rows = page.locator('.fl-table tbody tr');
      await rows.nth(2).waitFor();
      const names = () => rows.evaluateAll((all) => all.map((row) => row.getAttribute('data-machine')));
      assert.deepEqual(await names(), [`${COMPANY}/A`, `${COMPANY}/B`, `${COMPANY}/C`]);
      await page.getByRole('button', { name: 'Machine' }).click();
      await page.locator('th[aria-sort="descending"]').waitFor();
      assert.deepEqual(await names(), [`${COMPANY}/C`, `${COMPANY}/B`, `${COMPANY}/A`]);
      assert.match(await rows.last().innerText(), /12\.4 V\s+40 W\s+15 %\s+450 m²\s+151 Wh/);
      await screenshot(page, 'solar-table');
      await page.getByRole('button', { name: 'Tiles' }).click();
    });

    it('opens a machine: its curves of the last hour, day and month, without a wait', async function () {
      this.timeout(150_000);
      const now = Date.now();
      for (let hour = 29 * 24; hour > 0; hour -= 6) {
        const timestamp = new Date(now - hour * 3_600_000).toISOString();
        await say(
          a,
          'A',
          'telemetry',
          JSON.stringify({ timestamp, battery: 12 + (hour % 7) / 5, water: 50 }),
        );
      }
      for (let minute = 59; minute > 0; minute -= 1) {
        const timestamp = new Date(now - minute * 60_000).toISOString();
        await say(
          a,
          'A',
          'telemetry',
          JSON.stringify({ timestamp, battery: 13 + Math.sin(minute / 9), water: 40 }),
        );
      }
      // Rows that come late are summed up a little later.
      await eventually(
        async () => {
          const day = await gateway.get<{ items: unknown[] }>(
            `/companies/${COMPANY}/machines/A/telemetry?resolution=1m&limit=1000`,
          );
          return day.items.length > 170 ? true : undefined;
        },
        'minutes of the past',
        100_000,
      );
      await tile(page, 'A').click();
      await opened(page).getByRole('heading', { name: 'A', exact: true }).waitFor();
      const took = [await untilDrawn(page, 'battery')];
      await screenshot(page, 'solar-machine');
      for (const span of ['24 h', '30 d']) {
        await page.getByRole('button', { name: span, exact: true }).click();
        took.push(await untilDrawn(page, 'battery'));
      }
      const curve = page.locator('[data-measurement="battery"] fieldloom-curve');
      assert.match(
        (await curve.getAttribute('aria-label')) ?? '',
        /^Battery, last 30 days: \d+\.\d\d to \d+\.\d\d V$/,
      );
      for (const ms of took) assert.ok(ms < 3000, `${took} ms`);
      await screenshot(page, 'solar-month');
      await page.getByRole('button', { name: '1 h', exact: true }).click();
    });

    it('draws what the machine sends while one looks, and says what changes', async () => {
      await say(a, 'A', 'telemetry', '{"battery":14.44,"water":33}');
      const battery = page.locator('[data-measurement="battery"]');
      await battery.getByText('14.44').waitFor();
      await page.waitForFunction(() => {
        const curve = document.querySelector('[data-measurement="battery"] fieldloom-curve');
        return (curve as unknown as { curve: { values: number[] } }).curve.values.at(-1) === 14.44;
      });
      await say(a, 'A', 'status', '{"status":"Idle","energy":1,"water":2,"area":470}');
      await page.locator('.fl-changes').getByText('Idle').first().waitFor();
      await opened(page).getByText('470 m²').waitFor();
    });

    it('sends a command by a form of its schema, and shows what became of it', async () => {
      const form = opened(page).locator('.fl-form');
      await form.getByLabel('Speed').fill('11');
      await form.getByRole('button', { name: 'Send' }).click();
      await form.getByText('At most 10 is accepted.').waitFor();
      assert.equal(await form.getByLabel('Speed').getAttribute('aria-invalid'), 'true');
      await form.getByLabel('Speed').fill('7');
      await form.getByLabel('Mode').selectOption({ label: 'spot' });
      await form.getByRole('button', { name: 'Send' }).click();
      await page.getByRole('heading', { name: 'Sending wants a login' }).waitFor();
      await screenshot(page, 'solar-login');
      await logIn(page, 'ann', 'Log in and send');
      const sent = page.locator('[data-sent="start_cleaning"]').first();
      await sent.locator('.fl-step-done[data-step="Broker"]').waitFor();
      await sent.getByText('Sent. What the machine does shows in its next status.').waitFor();
      assert.deepEqual(commands, [{ command: 'start_cleaning', params: { speed: 7, mode: 'spot' } }]);
      await say(a, 'A', 'status', STATUS);
      await sent.getByText('Sent. The machine says Running; before it was Idle.').waitFor();
      await screenshot(page, 'solar-sent');
    });

    it('shows a press within 100 ms, whatever the gateway takes', async () => {
      await page.route('**/machines/A/command', (route) => new Promise(() => void route));
      const took = await page.evaluate(
        () =>
          new Promise<number>((resolve) => {
            const box = document.querySelector('.fl-commands');
            const before = document.querySelectorAll('[data-sent]').length;
            const began = performance.now();
            const seen = new MutationObserver(() => {
              if (document.querySelectorAll('[data-sent]').length === before) return;
              seen.disconnect();
              resolve(performance.now() - began);
            });
            seen.observe(box as Element, { childList: true, subtree: true });
            (document.querySelector('.fl-form button[type="submit"]') as HTMLButtonElement).click();
          }),
      );
      assert.ok(took < 100, `${took} ms`);
      await opened(page).getByRole('button', { name: 'Sending …' }).waitFor();
      await page.unroute('**/machines/A/command');
    });

    it('can be used by keyboard alone', async () => {
      await page.reload();
      const focused = () => page.evaluate(() => document.activeElement?.getAttribute('data-machine'));
      for (const machine of ['B', 'C', 'A']) await tile(page, machine).waitFor();
      await tile(page, 'A').focus();
      await page.keyboard.press('ArrowRight');
      assert.equal(await focused(), `${COMPANY}/B`);
      await page.keyboard.press('End');
      assert.equal(await focused(), `${COMPANY}/C`);
      await page.keyboard.press('Home');
      await page.keyboard.press('Enter');
      await opened(page).getByRole('heading', { name: 'A', exact: true }).waitFor();
      await page.getByRole('radio', { name: 'start_cleaning' }).waitFor();
      const name = () => page.evaluate(() => document.activeElement?.getAttribute('name'));
      // From the heading on: back, then the first field of the form.
      await page.keyboard.press('Tab');
      await page.keyboard.press('Tab');
      assert.equal(await name(), 'command');
      await page.keyboard.press('ArrowRight');
      assert.equal(await page.getByRole('radio', { name: 'stop' }).isChecked(), true);
      await page.getByLabel('Speed').waitFor({ state: 'detached' });
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await page.locator('[data-sent="stop"] .fl-step-done[data-step="Broker"]').waitFor();
      assert.equal(commands.at(-1)?.command, 'stop');
      const span = page.getByRole('button', { name: '24 h', exact: true });
      await span.focus();
      await page.keyboard.press('Space');
      await span.and(page.locator('[aria-pressed="true"]')).waitFor();
      const curve = page.locator('[data-measurement="battery"] fieldloom-curve');
      await curve.focus();
      await page.keyboard.press('Home');
      await curve.and(page.locator('[aria-valuetext$=" V"]')).waitFor();
      assert.match((await curve.getAttribute('aria-valuetext')) ?? '', /\d+\.\d\d V$/);
      await page.keyboard.press('Escape');
      await opened(page).waitFor({ state: 'detached' });
      assert.equal(await focused(), `${COMPANY}/A`);
    });

    it('takes any command where nothing is set for a company', async () => {
      const other = await connect('X', 'elsewhere');
      const danced: object[] = [];
      other.on('message', (_topic, payload) => danced.push(JSON.parse(payload.toString())));
      await other.subscribeAsync(topicOf('X', 'command', 'elsewhere'), { qos: 1 });
      await say(other, 'X', 'status', STATUS, 'elsewhere');
      await page.getByRole('button', { name: 'elsewhere', exact: true }).click();
      await tile(page, 'X', 'elsewhere').click();
      await page.locator('.fl-form input[name="command"]').fill('dance');
      await page.getByLabel('Params, as JSON').fill('[1]');
      await page.getByRole('button', { name: 'Send' }).click();
      await page.getByText('This is no JSON object').waitFor();
      await page.getByLabel('Params, as JSON').fill('{"steps":3}');
      await page.getByRole('button', { name: 'Send' }).click();
      await page.locator('[data-sent="dance"] .fl-step-done[data-step="Broker"]').waitFor();
      assert.deepEqual(danced, [{ command: 'dance', params: { steps: 3 } }]);
      await page.getByRole('button', { name: 'All companies' }).click();
      await page.getByRole('button', { name: 'All machines' }).click();
    });

    for (const colorScheme of ['light', 'dark'] as const) {
      it(`fits a telephone of 390 px, ${colorScheme}`, async () => {
        const phone = await openPage(browser, gateway.url + PATH, {
          viewport: { width: 390, height: 844 },
          colorScheme,
        });
        await tile(phone.page, 'A').waitFor();
        assert.equal(await sidewaysScroll(phone.page), 0);
        await screenshot(phone.page, `solar-390-${colorScheme}`);
        await phone.page.getByRole('button', { name: 'Table' }).click();
        await phone.page.locator('.fl-table').waitFor();
        assert.equal(await sidewaysScroll(phone.page), 0);
        await phone.page.locator(`tr[data-machine="${COMPANY}/A"]`).click();
        await untilDrawn(phone.page, 'battery');
        assert.equal(await sidewaysScroll(phone.page), 0);
        await screenshot(phone.page, `solar-390-machine-${colorScheme}`);
        assert.deepEqual(phone.complaints, []);
        await phone.page.context().close();
      });
    }

    it('has complained of nothing but the missing login', () => {
      // A browser writes each refusal to its console.
      const others = watched.complaints.filter((text) => !/status of 401/.test(text));
      assert.deepEqual(others, []);
    });

    it('is stale when the gateway goes, disconnected after half a minute, and live again by itself', async function () {
      this.timeout(90_000);
      const lost = await openPage(browser, 'about:blank');
      await lost.page.clock.install();
      await lost.page.goto(gateway.url + PATH);
      await tile(lost.page, 'A').waitFor();
      await gateway.end('SIGTERM');
      await lost.page
        .locator('.fl-stale-notice')
        .getByText(/^As of /)
        .waitFor();
      await screenshot(lost.page, 'solar-stale');
      await lost.page.clock.fastForward(31_000);
      await lost.page.getByText('Not connected to the gateway').waitFor();
      await tile(lost.page, 'A').waitFor();
      await screenshot(lost.page, 'solar-disconnected');
      await gateway.start();
      await lost.page.clock.fastForward(30_000);
      await lost.page.locator('.fl-connection.fl-live').waitFor();
      await lost.page.context().close();
    });
  });

  describe('with two companies of 500 machines each, and users of their own', () => {
    let gateway: Gateway;
    let service: MqttClient;
    let watched: WatchedPage;
    let page: Page;
    const sockets: string[] = [];
    const idOf = (index: number) => `R${String(index).padStart(3, '0')}`;

    before(async function () {
      this.timeout(120_000);
      gateway = await Gateway.create({ ACCESS: 'token' });
      await gateway.start();
      for (const [user, company] of [
        ['bob', 'one'],
        ['eve', 'two'],
      ] as const) {
        await gateway.command('user', 'add', user, '--company', company, '--password-stdin', {
          input: PASSWORD,
        });
      }
      const login = (await gateway.command('access', 'add', '--role', 'service')) as Login;
      service = await mqtt.connectAsync(gateway.mqttUrl, login);
      const words = ['Running', 'Idle', 'Charging', 'offline'];
      const all = ['one', 'two'].flatMap((company) =>
        Array.from({ length: 500 }, (_, index) => ({ company, machine: idOf(index), index })),
      );
      await Promise.all(
        all.map(async ({ company, machine, index }) => {
          const status = { status: words[index % 4], energy: index, water: 5, area: index * 3 };
          const telemetry = { battery: 12 + (index % 20) / 10, solar_v: 20, solar_a: 2, water: index % 100 };
          await service.publishAsync(topicOf(machine, 'telemetry', company), JSON.stringify(telemetry), {
            qos: 1,
          });
          await service.publishAsync(topicOf(machine, 'status', company), JSON.stringify(status), { qos: 1 });
        }),
      );
      watched = await openPage(browser, 'about:blank');
      page = watched.page;
      page.on('websocket', (socket) => sockets.push(socket.url()));
      await page.goto(gateway.url + PATH);
    });
    after(async () => {
      await service?.endAsync(true);
      await page?.context().close();
      await gateway?.remove();
    });

    it('wants a login, and shows the machines of that user’s company alone', async () => {
      await page.getByRole('heading', { name: 'Log in to see the machines' }).waitFor();
      await logIn(page, 'bob', 'Log in');
      await page.locator('.fl-tile').nth(499).waitFor({ state: 'attached' });
      const companies = await page
        .locator('.fl-tile')
        .evaluateAll((all) => [
          ...new Set(all.map((one) => one.getAttribute('data-machine')?.split('/')[0])),
        ]);
      assert.deepEqual(companies, ['one']);
      assert.equal(await page.getByRole('navigation', { name: 'Companies' }).count(), 0);
      const feeds = sockets.filter((url) => url.includes('/realtime/'));
      assert.deepEqual(
        feeds.map((url) => new URL(url).pathname),
        ['/realtime/companies/one'],
      );
    });

    it('says of many machines that are away how many they are, and shows them', async () => {
      // A machine whose first word is offline is so at once.
      await page.getByRole('button', { name: /^125 machines are offline/ }).click();
      await page
        .getByRole('button', { name: 'Offline 125' })
        .and(page.locator('[aria-pressed="true"]'))
        .waitFor();
      assert.equal(await page.locator('.fl-tile').count(), 125);
      await page.getByRole('button', { name: 'All 500' }).click();
      await page.locator('.fl-tile').nth(499).waitFor({ state: 'attached' });
      await screenshot(page, 'solar-500');
    });

    it('stays quick: a message is on its tile within a second, and nobody waits for a filter or the table', async () => {
      const first = page.locator('.fl-tile').first();
      await service.publishAsync(topicOf(idOf(0), 'telemetry', 'one'), '{"battery":9.9}', { qos: 1 });
      const acknowledged = Date.now();
      await first.getByText('9.9 V').waitFor();
      assert.ok(Date.now() - acknowledged < 1000);
      const until = (selector: string, count: number, press: string) =>
        page.evaluate(
          ([wanted, many, name]) =>
            new Promise<number>((resolve) => {
              const began = performance.now();
              const look = () => {
                if (document.querySelectorAll(wanted as string).length !== many) requestAnimationFrame(look);
                else resolve(performance.now() - began);
              };
              const button = [...document.querySelectorAll('.fl-listing button')].find((one) =>
                one.textContent?.trim().startsWith(name as string),
              );
              (button as HTMLButtonElement).click();
              look();
            }),
          [selector, count, press] as const,
        );
      const took = [
        await until('.fl-tile', 125, 'Running'),
        await until('.fl-tile', 500, 'All'),
        await until('.fl-table tbody tr', 500, 'Table'),
      ];
      for (const ms of took) assert.ok(ms < 3000, `${took} ms`);
      await screenshot(page, 'solar-500-table');
    });

    it('hears nothing of the other company, and forgets its own when somebody else logs in', async () => {
      await page.getByRole('button', { name: 'Log out' }).click();
      await page.getByRole('heading', { name: 'Log in to see the machines' }).waitFor();
      await logIn(page, 'eve', 'Log in');
      await page.getByRole('button', { name: 'Tiles' }).click();
      await page.locator('.fl-tile[data-machine="two/R000"]').waitFor();
      assert.equal(await page.locator('[data-machine^="one/"]').count(), 0);
      await service.publishAsync(topicOf('new', 'telemetry', 'one'), TELEMETRY, { qos: 1 });
      await service.publishAsync(topicOf('new', 'telemetry', 'two'), TELEMETRY, { qos: 1 });
      await page.locator('.fl-tile[data-machine="two/new"]').waitFor({ state: 'attached' });
      assert.equal(await page.locator('[data-machine^="one/"]').count(), 0);
    });

    it('fits a telephone', async () => {
      await page.setViewportSize({ width: 390, height: 844 });
      assert.equal(await sidewaysScroll(page), 0);
      await screenshot(page, 'solar-500-390');
    });

    it('has complained of nothing but the missing login', () => {
      const others = watched.complaints.filter((text) => !/status of 401|asked /.test(text));
      assert.deepEqual(others, []);
    });
  });

  describe('with simulated machines', () => {
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

    it('shows the twenty machines of both companies, and of one alone when it is chosen', async () => {
      await page.locator('.fl-tile').nth(19).waitFor();
      assert.equal(await page.locator('.fl-tile').count(), 20);
      const companies = page.getByRole('navigation', { name: 'Companies' });
      await companies.getByRole('button', { name: 'helio-park' }).click();
      await page.locator('.fl-tile[data-machine^="sunfield/"]').first().waitFor({ state: 'detached' });
      assert.equal(await page.locator('.fl-tile').count(), 10);
      await companies.getByRole('button', { name: 'All companies' }).click();
      await page.locator('.fl-tile').nth(19).waitFor();
    });

    it('shows curves of a day and a month that began before the gateway did', async function () {
      this.timeout(150_000);
      await page.locator('[data-machine="sunfield/SF-01"]').click();
      await page.getByRole('button', { name: '24 h', exact: true }).click();
      await page.waitForFunction(
        () => {
          const curve = document.querySelector('[data-measurement="solar_a"] fieldloom-curve');
          return ((curve as unknown as { curve?: { times: number[] } })?.curve?.times.length ?? 0) > 100;
        },
        undefined,
        { timeout: 140_000 },
      );
      await page.getByRole('button', { name: 'All machines' }).click();
    });

    for (const colorScheme of ['light', 'dark'] as const) {
      it(`is drawn for a person to look at, ${colorScheme}`, async () => {
        await page.emulateMedia({ colorScheme });
        await page.locator(`html[data-fieldloom-scheme^="${colorScheme}"]`).waitFor();
        await screenshot(page, `solar-${colorScheme}`);
      });
    }

    it('has complained of nothing, and asked no other host', () => assert.deepEqual(watched.complaints, []));
  });
});
