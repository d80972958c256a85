import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { Browser, Download, Page } from 'playwright-core';
import type { RoastTrace } from '../../client/roast-trace.js';
import { openBrowser, openPage, screenshot, sidewaysScroll, type WatchedPage } from '../support/browser.js';
import { eventually, Gateway } from '../support/gateway.js';

type RoastChart = HTMLElement & { trace: RoastTrace };

const PATH = '/dashboard/roast';
/** A roast of eleven minutes is over in a quarter of one. */
const SPEED = 40;

interface Session {
  state: string;
  temperatures: { timestamp_ms: number }[];
  events: { event_type: string; auto_detected: boolean; timestamp_ms: number }[];
}

const event = (page: Page, type: string) => page.locator(`[data-event="${type}"]`);
const happened = (page: Page, type: string) => page.locator(`[data-event="${type}"].fl-happened`);
const figure = (page: Page, key: string) => page.locator(`[data-figure="${key}"] b`);
const control = (page: Page, channel: string) => page.locator(`[data-channel="${channel}"]`);
const step = (page: Page, action: string) => page.locator(`[data-step="${action}"]`);

/** Times of all readings that the live curve has. */
const drawnTimes = (page: Page) =>
  page
    .locator('fieldloom-roast-chart.fl-live-chart')
    .evaluate((chart) => [...(chart as RoastChart).trace.times]);

/** How many pixels of the live curve have a strong colour of their own. */
const drawnPixels = (page: Page) =>
  page.locator('fieldloom-roast-chart.fl-live-chart').evaluate((chart) => {
    const canvas = chart.shadowRoot?.querySelector('canvas');
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

const textOf = async (download: Promise<Download>) => {
  const file = await download;
  return { name: file.suggestedFilename(), text: await readFile(await file.path(), 'utf8') };
};

describe('page Roast', () => {
  let browser: Browser;
  let gateway: Gateway;
  let watched: WatchedPage;
  let page: Page;
  let machineId: string;
  const session = () => gateway.get<Session>(`/api/machines/${machineId}/session`);
  const warmerThan = (celsius: number) =>
    page.waitForFunction(
      (least) => Number(document.querySelector('[data-figure="bt"] b')?.textContent) > least,
      celsius,
    );

  before(async function () {
    this.timeout(90_000);
    browser = await openBrowser();
    gateway = await Gateway.create();
    await gateway.start();
    watched = await openPage(browser, gateway.url + PATH);
    page = watched.page;
  });
  after(async () => {
    await browser.close();
    await gateway?.remove();
  });

  it('says what to do next while there is no roaster', async () => {
    await page.getByRole('heading', { name: 'There is no roaster yet' }).waitFor();
    await screenshot(page, 'roast-empty');
    await page.getByRole('button', { name: 'Add a roaster' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Add', exact: true }).click();
    await dialog.getByText('A name is wanted.').waitFor();
    await dialog.getByLabel('Name').fill('Drum 3');
    await dialog.getByLabel('Its time goes').fill('100');
    await page.keyboard.press('Enter');
    await dialog.getByText('A simulated roaster is 1 to 60 times as fast.').waitFor();
    await dialog.getByLabel('Its time goes').fill(String(SPEED));
    await page.keyboard.press('Enter');
    await page.locator('.fl-roast').waitFor();
    assert.match(await page.getByLabel('Roaster', { exact: true }).innerText(), /Drum 3 · Idle/);
    const { items } = await gateway.get<{ items: { id: string }[] }>('/api/machines');
    machineId = items[0]?.id ?? '';
  });

  it('leads from the connection to the recording, by the keyboard alone', async () => {
    await step(page, 'connect').focus();
    await page.keyboard.press('Enter');
    await page.getByText('Simulator connected').waitFor();
    await step(page, 'start_monitoring').focus();
    await page.keyboard.press('Enter');
    await warmerThan(150);
    await page.getByText('You control').waitFor();
    assert.match(await figure(page, 'time').innerText(), /–/);
    await eventually(async () => ((await drawnPixels(page)) > 50 ? true : undefined), 'a curve');
    assert.equal(await event(page, 'FCs').getAttribute('aria-disabled'), 'true');
  });

  it('takes alarms that are edited, in the unit that is shown, and never a key that is typed', async () => {
    await page.getByRole('button', { name: '°F' }).click();
    await page.getByRole('button', { name: 'Edit the alarms' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByText('A number is wanted.').waitFor();
    await dialog.getByLabel('Threshold').pressSequentially('311');
    await dialog.getByLabel('Message').fill('Look at the colour');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'hidden' });
    await page.getByText('BT above 311 °F, after TP').waitFor();
    const { config } = await gateway.get<{ config: { alarms: { when: { above: number } }[] } }>(
      `/api/machines/${machineId}`,
    );
    assert.equal(config.alarms[0]?.when.above, 155);
    // A reading still comes: an alarm needs no new connection.
    await page.getByRole('button', { name: '°C' }).click();
    await page.getByText('BT above 155 °C, after TP').waitFor();
  });

  it('moves a control and shows the value that was really applied', async () => {
    const burner = control(page, 'burner');
    await burner.getByText('45 %').waitFor();
    await burner.getByRole('slider').fill('75');
    await burner.locator('b', { hasText: '75 %' }).waitFor();
    await burner.getByRole('slider').press('ArrowRight');
    await burner.locator('b', { hasText: '76 %' }).waitFor();
    const { control_values } = await gateway.get<{ control_values: Record<string, number> }>(
      `/api/machines/${machineId}/session`,
    );
    assert.equal(control_values['burner'], 0.76);
  });

  it('records: the beans go in, CHARGE and TP mark themselves, the time runs from CHARGE', async () => {
    await step(page, 'start_recording').click();
    await page.getByText('Waiting for CHARGE').waitFor();
    await control(page, 'charge').getByRole('button', { name: 'Drop the beans in' }).click();
    await happened(page, 'CHARGE').waitFor();
    await control(page, 'charge').getByRole('button', { name: 'Close the hopper' }).click();
    await happened(page, 'TP').waitFor();
    assert.match(await figure(page, 'time').innerText(), /^\d+:\d\d$/);
    await page.waitForFunction(
      () => Number(document.querySelector('[data-figure="ror"] b')?.textContent) > 5,
    );
  });

  it('loses nothing in a reload in the middle, and its client still controls', async () => {
    const before = await session();
    await page.reload();
    await happened(page, 'TP').waitFor();
    await page.getByText('You control').waitFor();
    const first = before.temperatures[0]?.timestamp_ms ?? 0;
    const last = before.temperatures.at(-1)?.timestamp_ms ?? 0;
    await eventually(async () => {
      const times = await drawnTimes(page);
      return times[0] === first && (times.at(-1) ?? 0) > last ? true : undefined;
    }, 'the whole curve');
    const times = new Set(await drawnTimes(page));
    const lost = before.temperatures.filter(({ timestamp_ms }) => !times.has(timestamp_ms));
    assert.deepEqual(lost, []);
  });

  it('shows to a second person that somebody else controls, and takes nothing from them', async () => {
    const other = await openPage(browser, gateway.url + PATH);
    await other.page.getByText('You look on').waitFor();
    assert.ok(await control(other.page, 'burner').getByRole('slider').isDisabled());
    await other.page.keyboard.press('8');
    assert.equal(await event(other.page, 'COOL').getAttribute('aria-disabled'), 'true');
    await happened(other.page, 'TP').waitFor();
    // One that asks all the same is told so.
    await other.page.evaluate(async (id) => {
      const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/ws/live/${id}`);
      await new Promise<void>((resolve) => {
        socket.addEventListener('open', () =>
          socket.send('{"type":"command","action":"mark_event","event_type":"COOL"}'),
        );
        socket.addEventListener('message', ({ data }) => {
          if (String(data).includes('SESSION_LOCKED')) resolve();
        });
      });
      socket.close();
    }, machineId);
    assert.deepEqual(other.complaints, []);
    await other.page.context().close();
    assert.equal(
      (await session()).events.some(({ event_type }) => event_type === 'COOL'),
      false,
    );
  });

  it('comes back from a lost network, and what it missed comes too', async () => {
    const context = page.context();
    await context.setOffline(true);
    await page.locator('.fl-connection.fl-stale').waitFor();
    await screenshot(page, 'roast-stale');
    await context.setOffline(false);
    await page.locator('.fl-connection.fl-live').waitFor();
    const { temperatures } = await session();
    const last = temperatures.at(-1)?.timestamp_ms ?? 0;
    await eventually(async () => {
      const times = await drawnTimes(page);
      return (times.at(-1) ?? 0) >= last ? true : undefined;
    }, 'readings after the outage');
    const times = new Set(await drawnTimes(page));
    assert.deepEqual(
      temperatures.filter(({ timestamp_ms }) => !times.has(timestamp_ms)),
      [],
    );
    watched.complaints.length = 0;
  });

  it('speaks up when an alarm fires, until it is dismissed', async () => {
    await page.getByRole('alert').getByText('Warning: Look at the colour').waitFor();
    await page.getByRole('button', { name: 'Dismiss Look at the colour' }).click();
    await page.locator('.fl-alarm').waitFor({ state: 'detached' });
    await page.getByText('1 in this roast').click();
    await page.locator('.fl-alarm-card ol').getByText('Look at the colour').waitFor();
  });

  it('marks FCs by its key, and shows how far the development is', async () => {
    await happened(page, 'DRY_END').waitFor();
    await warmerThan(188);
    await page.keyboard.press('3');
    await happened(page, 'FCs').waitFor();
    // Where the page is slow, the session may have found it by itself before.
    await eventually(async () => {
      const { events } = await session();
      return events.find(({ event_type, auto_detected }) => event_type === 'FCs' && !auto_detected);
    }, 'FCs marked by hand');
    await page.waitForFunction(() =>
      /^\d+\.\d %$/.test(document.querySelector('[data-figure="development"] b')?.textContent ?? ''),
    );
    await warmerThan(204);
    await screenshot(page, 'roast-development');
  });

  it('marks DROP when the beans are let out, and ends the recording', async () => {
    await control(page, 'drop').getByRole('button', { name: 'Let the beans out' }).click();
    await happened(page, 'DROP').waitFor();
    assert.match((await event(page, 'DROP').innerText()).replace(/\s+/g, ' '), /by itself/);
    await step(page, 'stop_recording').click();
    await step(page, 'save').waitFor();
  });

  it('saves the roast with its weights and shows its statistics', async () => {
    await step(page, 'save').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('Sidamo 3');
    await dialog.getByLabel('Beans').fill('Washed, 2026');
    await dialog.getByLabel('Green').fill('1000');
    await dialog.getByLabel('Roasted').fill('850');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Sidamo 3' }).waitFor();
    await page.getByText('Saved.').waitFor();
    const row = (name: string) =>
      page.getByRole('row').filter({ has: page.getByRole('rowheader', { name, exact: true }) });
    assert.equal(await row('Weight loss').getByRole('cell').innerText(), '15.0 %');
    assert.match(await row('CHARGE to DROP').getByRole('cell').innerText(), /^\d+:\d\d$/);
    assert.match(await row('Development, share').getByRole('cell').innerText(), /^\d+\.\d %$/);
    await screenshot(page, 'roast-saved');
  });

  it('gives the roast away for Artisan, as CSV and as JSON, and takes a file back', async () => {
    const kept: Record<string, { name: string; text: string }> = {};
    for (const [format, label] of Object.entries({ alog: 'Artisan', csv: 'CSV', json: 'JSON' })) {
      const download = page.waitForEvent('download');
      await page.getByRole('button', { name: `${label} file` }).click();
      kept[format] = await textOf(download);
    }
    assert.equal(kept['alog']?.name, 'Sidamo-3.alog');
    assert.match(kept['alog']?.text ?? '', /^\{'/);
    assert.match(kept['csv']?.text ?? '', /CHARGE/);
    assert.equal(JSON.parse(kept['json']?.text ?? '').title, 'Sidamo 3');
    const file = (name: string, text: string) => ({ name, mimeType: '', buffer: Buffer.from(text) });
    await page
      .getByLabel(/^Profiles to import/)
      .setInputFiles([file('again.alog', kept['alog']?.text ?? ''), file('nothing.csv', 'a,b\n1,2\n')]);
    await page.getByText('again.alog: imported as Sidamo 3').waitFor();
    await page.locator('.fl-imports .fl-error-text').waitFor();
    // The browser itself complains of the refused file, as it should be.
    assert.deepEqual(watched.complaints.length, 1);
    watched.complaints.length = 0;
    await eventually(
      async () => ((await page.locator('.fl-profile').count()) === 2 ? true : undefined),
      'both',
    );
  });

  it('compares two roasts, and draws one underneath, also after a reload', async () => {
    await page.getByLabel('Compare with').selectOption({ index: 1 });
    await page.getByRole('columnheader', { name: 'Difference' }).waitFor();
    await page.getByLabel('Background profile').selectOption({ index: 1 });
    const legend = () => page.locator('fieldloom-roast-chart.fl-live-chart .legend .background');
    await legend().getByText('Sidamo 3').waitFor();
    await page.reload();
    await legend().getByText('Sidamo 3').waitFor();
  });

  it('replays a roast: start, pause, seek, another speed, stop', async () => {
    const seconds = async () => {
      const [minutes, rest] = (
        (await page.locator('.fl-replay-time').innerText()).split(' / ')[0] ?? ''
      ).split(':');
      return Number(minutes) * 60 + Number(rest);
    };
    const reaches = (from: number, to: number) =>
      eventually(async () => {
        const at = await seconds();
        return at >= from && at <= to ? at : undefined;
      }, `a place from ${from} to ${to} s`);
    await page.getByLabel('Speed').selectOption('20');
    await page.getByRole('button', { name: 'Replay', exact: true }).click();
    await reaches(5, 600);
    await page.getByRole('button', { name: 'Pause the replay' }).click();
    await page.getByRole('button', { name: 'Go on with the replay' }).waitFor();
    const place = page.getByLabel('Place in the replay');
    await place.evaluate((slider: HTMLInputElement) => {
      slider.value = '240000';
      slider.dispatchEvent(new Event('change'));
    });
    // The newest reading before that place: a machine that is busy leaves some out.
    const at = await reaches(200, 240);
    await page.getByLabel('Speed').selectOption('1');
    await page.getByRole('button', { name: 'Go on with the replay' }).click();
    await reaches(at + 1, 270);
    await page.getByRole('button', { name: 'Stop the replay' }).click();
    await page.getByRole('button', { name: 'Replay', exact: true }).waitFor();
  });

  it('keeps the unit: rates have no offset', async () => {
    await page.getByRole('button', { name: '°F' }).click();
    await page.reload();
    await page.getByRole('button', { name: '°F', pressed: true }).waitFor();
    const chart = page.locator('fieldloom-roast-chart.fl-live-chart');
    await page.waitForFunction(
      () =>
        document.querySelector<RoastChart>('fieldloom-roast-chart.fl-live-chart')?.trace.last !== undefined,
    );
    await chart.focus();
    await page.keyboard.press('End');
    const words = (await chart.getAttribute('aria-valuetext')) ?? '';
    const last = await chart.evaluate((element) => (element as RoastChart).trace.last);
    assert.ok(words.includes(`BT ${((last?.bt ?? 0) * 1.8 + 32).toFixed(1)} °F`), words);
    assert.ok(words.includes(`RoR ${((last?.btRor ?? 0) * 1.8).toFixed(1).replace('-', '−')}`), words);
  });

  it('does not throw away a roast that is not saved without asking', async () => {
    await step(page, 'reset').click();
    const dialog = page.getByRole('dialog');
    // This one is saved, but the page that saved it is gone: it asks.
    await dialog.getByRole('button', { name: 'Discard it' }).click();
    await step(page, 'start_monitoring').waitFor();
    assert.equal((await session()).state, 'idle');
  });

  it('fits a phone, light and dark, and has said nothing wrong', async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    assert.equal(await sidewaysScroll(page), 0);
    await screenshot(page, 'roast-phone');
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.locator('html[data-fieldloom-scheme^="dark"]').waitFor();
    await screenshot(page, 'roast-phone-dark');
    assert.deepEqual(watched.complaints, []);
  });
});
