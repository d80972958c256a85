import assert from 'node:assert/strict';
import { overviewAttention } from '../../client/overview-attention.js';
import { overviewCards } from '../../client/overview-cards.js';
import { OverviewPage } from '../../client/overview-page.js';
import type { OverviewView } from '../../client/overview-view.js';
import type { LaundryPart, OverviewWire, RoastMachineWire } from '../../client/overview-wire.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';
import { type Answer, type Asked, apiOf, settled } from '../support/fake-gateway.js';
import { pondWire } from '../support/ponds.js';

const NOW = Date.UTC(2025, 7, 30, 9);
const ago = (ms: number) => new Date(NOW - ms).toISOString();
const MINUTE = 60_000;
const flat = { from: ago(60 * MINUTE), step_s: 60, values: Array.from({ length: 61 }, () => 0) };

const LAUNDRY: LaundryPart = {
  ...{ stores: 1, controllers: 2, controllers_offline: 0, offline: [], busy: flat },
  machines: { busy: 1, idle: 2, unknown: 0 },
};
const overview = (parts: Partial<OverviewWire> = {}): OverviewWire => ({
  at: ago(0),
  laundry: { state: 'ready', ...LAUNDRY },
  ponds: { state: 'unauthenticated' },
  firmware: { state: 'absent' },
  solar: { state: 'absent' },
  roast: { state: 'absent' },
  refused: { state: 'ready', protocols: [] },
  ...parts,
});
const offlineIn = (store_id: string, count: number) =>
  Array.from({ length: count }, (_, index) => ({
    ...{ store_id, controller_id: `${index}2345678-${store_id}`, last_seen: ago(5 * MINUTE), machines: 4 },
  }));
const titles = (wire: OverviewWire) => overviewAttention(wire, NOW).map(({ title }) => title);

describe('what needs attention in the overview', () => {
  it('is nothing where all is well', () => assert.deepEqual(titles(overview()), []));

  it('is each controller that is offline, with a link to it', () => {
    const offline = offlineIn('shop', 1);
    const [item] = overviewAttention(
      overview({ laundry: { state: 'ready', ...LAUNDRY, controllers_offline: 1, offline } }),
      NOW,
    );
    assert.equal(item?.title, 'Controller 02345678 is offline for 5 min');
    assert.equal(item?.place, 'laundry#controller-02345678-shop');
    assert.match(item?.text ?? '', /4 machines unknown/);
  });

  it('tells many of one shop together, and those that were not named', () => {
    const offline = [...offlineIn('a', 4), ...offlineIn('b', 2)];
    const laundry = { state: 'ready' as const, ...LAUNDRY, controllers_offline: 60, offline };
    assert.deepEqual(titles(overview({ laundry })), [
      '4 controllers of shop a are offline',
      'Controller 02345678-b is offline for 5 min',
      'Controller 12345678-b is offline for 5 min',
      '54 more controllers offline',
    ]);
  });

  it('tells ponds as their page does, and many of a kind together', () => {
    const calling = (count: number) =>
      Array.from({ length: count }, (_, index) => ({
        pond: pondWire(NOW, {
          ...{ pond_id: index, name: `Pond ${index}` },
          readings: { dissolved_oxygen: { value: 4, at: ago(MINUTE) } },
        }),
        execution: null,
      }));
    const of = (count: number, outside = count) =>
      overviewAttention(
        overview({
          ponds: {
            ...{ state: 'ready', ponds: 500, ponds_online: 500, ponds_offline: 0, ponds_alerted: 0 },
            ...{ ponds_outside: outside, calling: calling(count), lowest_oxygen: null },
          },
        }),
        NOW,
      ).map(({ title, text, place }) => [title, text, place]);
    assert.deepEqual(of(1), [
      ['Pond 0: Oxygen 4.0 mg/L, at least 5 mg/L wanted', 'Measured 1 min ago.', 'ponds#pond-0'],
    ]);
    assert.equal(of(3).length, 3);
    assert.deepEqual(of(50, 62), [
      ['62 ponds are outside their limits', 'Pond 0, Pond 1, Pond 2 and 59 more', 'ponds'],
    ]);
  });

  it('tells a last will from silence, and puts what has failed first', () => {
    const machine = (machine_id: string, status: string) => ({
      ...{ company_id: '1', machine_id, status, since: ago(MINUTE), last_seen: ago(MINUTE) },
    });
    const solar = {
      ...{
        state: 'ready' as const,
        companies: 1,
        machines: 3,
        states: { offline: 1, stale: 1, cleaning: 1 },
      },
      away: [machine('B', 'stale'), machine('A', 'offline')],
      failed_commands: [
        ...[
          { company_id: '1', machine_id: 'C', command: 'start', reason: 'not_connected', created_at: ago(0) },
        ],
      ],
      battery: { ...flat, machines: 3 },
    };
    const found = overviewAttention(overview({ solar }), NOW);
    assert.deepEqual(
      found.map(({ look, title, place }) => [look, title, place]),
      [
        ['failure', 'Machine A is offline for 1 min', 'solar#machine-1-A'],
        ['warning', 'Machine B is stale for 1 min', 'solar#machine-1-B'],
        ['warning', 'Machine C: start failed', 'solar#machine-1-C'],
      ],
    );
    assert.equal(found[2]?.text, 'just now: not connected.');
  });

  it('is a roasting machine that is cut off, and its alarms while it roasts', () => {
    const machine = (parts: Partial<RoastMachineWire>): RoastMachineWire => ({
      ...{ id: 'p', name: 'Probat', state: 'recording', driver_state: 'connected', driver_message: '' },
      alarms: [],
      ...parts,
    });
    const of = (...machines: RoastMachineWire[]) =>
      overviewAttention(overview({ roast: { state: 'ready', machines, bean_temperature: null } }), NOW).map(
        ({ look, title }) => [look, title],
      );
    const alarms = [
      { id: 'hot', message: 'Drum too hot', severity: 'critical' as const },
      { id: 'note', message: 'Soon', severity: 'info' as const },
    ];
    assert.deepEqual(of(machine({ alarms })), [['failure', 'Probat: Drum too hot']]);
    assert.deepEqual(of(machine({ alarms, state: 'finished' })), []);
    assert.deepEqual(of(machine({ driver_state: 'reconnecting' })), [
      ['failure', 'Probat: no connection to the machine'],
    ]);
    assert.deepEqual(of(machine({ driver_state: 'reconnecting', state: 'idle' })), [
      ['warning', 'Probat: no connection to the machine'],
    ]);
    assert.deepEqual(of(machine({ driver_state: 'disconnected', state: 'idle' })), []);
  });

  it('is what was refused, protocol by protocol, and says where a flood is no longer counted', () => {
    const refused = {
      state: 'ready' as const,
      protocols: [
        { protocol: 'laundry', count: 1, newest_at: ago(MINUTE) },
        { protocol: 'solar', count: 10_000, newest_at: ago(0) },
      ],
    };
    assert.deepEqual(titles(overview({ refused })), [
      '1 message of controllers of laundries refused in the last 24 hours',
      '10000 messages or more of solar machines refused in the last 24 hours',
    ]);
  });
});

describe('the cards of the overview', () => {
  it('stand in the order of the pages, each with its place', () => {
    assert.deepEqual(
      overviewCards(overview()).map(({ name, place, state }) => [name, place, state]),
      [
        ['laundry', 'laundry', 'ready'],
        ['ponds', 'ponds', 'unauthenticated'],
        ['firmware', 'firmware', 'absent'],
        ['solar', 'solar', 'absent'],
        ['roast', 'roast', 'absent'],
      ],
    );
  });

  it('count in words, and colour only what is there', () => {
    const [laundry] = overviewCards(overview());
    assert.deepEqual(
      laundry?.figures.map(({ value, word, look }) => [value, word, look]),
      [
        ['1', 'busy', 'busy'],
        ['2', 'idle', 'idle'],
        ['0', 'unknown', 'unknown'],
        ['0', 'offline', 'plain'],
      ],
    );
    assert.equal(laundry?.curve?.label, 'Busy machines, last hour: 0 to 0');
    assert.equal(laundry?.curve?.times.length, 61);
    assert.equal(laundry?.curve?.to, NOW);
  });

  it('show the pond with the lowest oxygen with its limits', () => {
    const [, ponds] = overviewCards(
      overview({
        ponds: {
          ...{ state: 'ready', ponds: 2, ponds_online: 1, ponds_offline: 0 },
          ...{ ponds_alerted: 0, ponds_outside: 1, calling: [] },
          lowest_oxygen: {
            ...{ pond_id: 1, name: 'North', parameter: 'dissolved_oxygen', value: 4.52, at: ago(0) },
            threshold: { min: 5 },
            readings: [1, 2].map((minutes) => ({
              ...{ received_at: ago(minutes * MINUTE), at: ago(minutes * MINUTE), pond_position: 1 },
              values: { dissolved_oxygen: 4 + minutes },
            })),
          },
        },
      }),
    );
    assert.equal(ponds?.text, '2 ponds, 1 never heard');
    assert.equal(ponds?.caption, 'Lowest oxygen: North, 4.5 mg/L');
    assert.deepEqual(ponds?.curve?.values, [6, 5]);
    assert.equal(ponds?.curve?.limits?.min, 5);
  });

  it('add up the controllers of an hour, and count who waits for a person', () => {
    const [, , firmware] = overviewCards(
      overview({
        firmware: {
          ...{ state: 'ready', rollouts: { PAUSED: 1, WAITING_APPROVAL: 1 }, rollouts_total: 2 },
          ...{ completed_24h: 3, failed_24h: 0, calling: [] },
          completed: { from: ago(3 * MINUTE), step_s: 60, values: [1, 0, 2] },
        },
      }),
    );
    assert.deepEqual(firmware?.curve?.values, [1, 1, 3]);
    assert.deepEqual(
      firmware?.figures.map(({ value }) => value),
      ['0', '2', '3', '0'],
    );
  });

  it('say what failed where a part could not be asked', () => {
    const [laundry] = overviewCards(
      overview({
        laundry: { state: 'failed', code: 'store_unavailable', message: 'the store is not open yet' },
      }),
    );
    assert.deepEqual(
      [laundry?.state, laundry?.text],
      ['failed', 'the store is not open yet (store_unavailable)'],
    );
  });
});

describe('page Overview, what it does', () => {
  let clock: FakeClock;
  let answer: (asked: Asked) => Answer | undefined;
  let asked: string[];
  let views: OverviewView[];
  let visible: boolean;
  let page: OverviewPage;

  const view = () => views.at(-1) as OverviewView;
  const pass = async (ms: number) => {
    await settled();
    clock.advance(ms);
    await settled();
  };

  beforeEach(() => {
    clock = fakeClock(NOW);
    asked = [];
    views = [];
    visible = true;
    answer = ({ path }) => (path === 'overview' ? { body: overview() } : { status: 404, body: {} });
  });
  const open = () => {
    const api = apiOf((request) => {
      asked.push(request.path);
      return answer(request);
    });
    page = new OverviewPage({ api, clock, show: (shown) => views.push(shown), visible: () => visible });
  };
  afterEach(() => page.close());

  it('loads, and asks again every two seconds while somebody looks', async () => {
    open();
    assert.equal(view().phase, 'loading');
    await pass(100);
    assert.equal(view().phase, 'ready');
    assert.equal(view().connection.look, 'live');
    assert.equal(view().wellText, 'Nothing that can be seen without a login needs attention.');
    await pass(2000);
    assert.equal(asked.length, 2);
    visible = false;
    await pass(10_000);
    assert.equal(asked.length, 2);
  });

  it('keeps what it shows when the gateway goes: first old, then not connected', async () => {
    open();
    await pass(100);
    answer = () => undefined;
    await pass(2000);
    await pass(1000);
    assert.equal(view().connection.look, 'stale');
    assert.equal(view().cards.length, 5);
    for (let second = 0; second < 31; second += 1) await pass(1000);
    assert.equal(view().connection.look, 'disconnected');
    answer = () => ({ body: overview() });
    await pass(2000);
    assert.equal(view().connection.look, 'live');
  });

  it('says that it never reached the gateway', async () => {
    answer = () => undefined;
    open();
    await pass(1100);
    assert.deepEqual([view().phase, view().connection.look], ['loading', 'disconnected']);
  });

  it('shows an error of the gateway', async () => {
    answer = () => ({ status: 500, body: { error: { code: 'internal', message: 'a mistake' } } });
    open();
    await pass(1100);
    assert.deepEqual([view().phase, view().problem?.code], ['error', 'internal']);
  });

  it('asks for a login where nothing can be seen without, and asks for nothing until then', async () => {
    answer = ({ path, token }) => {
      if (path === 'api/token/') return { body: { access: 'a', refresh: 'r' } };
      return token === undefined ? { status: 401, body: {} } : { body: overview() };
    };
    open();
    await pass(1100);
    assert.equal(view().phase, 'login');
    await pass(10_000);
    assert.equal(asked.length, 1);
    await page.login('ann', 'secret');
    await pass(100);
    assert.deepEqual([view().phase, view().username], ['ready', 'ann']);
    answer = () => ({ body: overview() });
    page.logout();
    await pass(100);
    assert.equal(view().username, '');
  });

  it('tells why a login did not work, and lets one give it up', async () => {
    open();
    await pass(100);
    page.askToLogIn();
    answer = ({ path }) => (path === 'api/token/' ? { status: 401, body: {} } : { body: overview() });
    await page.login('ann', 'wrong');
    await pass(100);
    assert.equal(view().login?.error, 'Name or password is wrong.');
    page.cancelLogin();
    await pass(100);
    assert.equal(view().login, undefined);
    assert.equal(view().phase, 'ready');
  });

  it('says what is empty where nothing is connected', async () => {
    answer = () => ({ body: overview({ laundry: { state: 'ready', ...LAUNDRY, stores: 0 } }) });
    open();
    await pass(2100);
    await pass(100);
    assert.deepEqual([view().empty, view().well], [true, false]);
  });

  it('opens the refused messages of one protocol, and replays one once somebody has logged in', async () => {
    const letter = { id: '7', received_at: ago(0), protocol: 'solar', topic: 't', code: 'c', message: 'm' };
    answer = ({ path, token, method }) => {
      if (path === 'overview') return { body: overview() };
      if (path === 'api/token/') return { body: { access: 'a', refresh: 'r' } };
      if (method === 'POST')
        return token === undefined ? { status: 401, body: {} } : { body: { accepted: true } };
      return { body: { items: [{ ...letter, payload_base64: '' }], next_cursor: null } };
    };
    open();
    await page.openRefused('solar');
    await pass(100);
    assert.match(asked.at(-1) ?? '', /^dead-letters\?protocol=solar&since=/);
    assert.equal(view().refused.items[0]?.code, 'c');
    await page.replay('7');
    await pass(100);
    assert.equal(view().login?.purpose, 'replay');
    await page.login('ann', 'secret');
    await pass(100);
    assert.equal(view().refused.items[0]?.replay.text, 'Accepted this time.');
  });
});
