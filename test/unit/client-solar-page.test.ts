import assert from 'node:assert/strict';
import { LiveFeed } from '../../client/live-feed.js';
import { SolarPage } from '../../client/solar-page.js';
import type { SolarView } from '../../client/solar-view.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';
import { type Answer, type Asked, apiOf, Sockets, settled } from '../support/fake-gateway.js';

const MINUTE = 60_000;

describe('page Solar, what it does', () => {
  let clock: FakeClock;
  let asked: Asked[];
  let answers: (asked: Asked) => Answer | undefined | Promise<Answer | undefined>;
  let sockets: Sockets;
  let views: SolarView[];
  let visible: boolean;
  let page: SolarPage;

  const view = () => {
    const last = views.at(-1);
    assert.ok(last);
    return last;
  };
  const opened = () => {
    const { opened: now } = view();
    assert.ok(now);
    return now;
  };
  const pass = async (ms: number) => {
    await settled();
    clock.advance(ms);
    await settled();
  };
  const paths = () => asked.map(({ method, path }) => `${method} ${path}`);
  const iso = (at: number) => new Date(at).toISOString();
  const list = (items: object[]) => ({ body: { items, next_cursor: null } });
  const companies = (...ids: string[]) => list(ids.map((company_id) => ({ company_id, machines: 1 })));
  const offers = { any: false, items: [{ command: 'stop', params: { type: 'object' } }], next_cursor: null };
  const command = (status: string, more: object = {}) => ({
    body: { command_id: 'id-1', status, created_at: iso(clock.now()), ...more },
  });
  const normal = ({ path }: Pick<Asked, 'path'>): Answer => {
    if (path === 'companies') return companies('a', 'b');
    if (path.endsWith('/commands')) return { body: offers };
    return list([]);
  };
  const status = (company_id: string, machine_id: string, word = 'Idle') => ({
    ...{ company_id, machine_id, status: word, last_status: word },
    online: word !== 'offline' && word !== 'stale',
    ...{ energy: 1, water: 2, area: 3 },
    received_at: iso(clock.now()),
    since: iso(clock.now()),
    last_seen: iso(clock.now()),
  });
  const row = (battery: number) => ({
    ...{ at: iso(clock.now()), received_at: iso(clock.now()) },
    ...{ battery, solar_v: 20, solar_a: 2, water: 50, extra: null },
  });
  const snapshot = (company: string, ...ids: string[]) => ({
    type: 'snapshot',
    seq: 1,
    company_id: company,
    data: { machines: ids.map((id) => ({ ...status(company, id), telemetry: row(12) })) },
  });
  const say = (company: string, machine: string, seq: number, type: string, data: object) =>
    sockets.open.get(company)?.say({ type, seq, company_id: company, machine_id: machine, data });

  const open = async () => {
    const api = apiOf((request) => {
      asked.push(request);
      return answers(request);
    });
    page = new SolarPage({
      api,
      clock,
      openFeed: (companyId, handlers) =>
        new LiveFeed({
          url: `ws://gateway/realtime/companies/${companyId}`,
          clock,
          connect: (url) => sockets.connect(url),
          ticket: () => api.ticket(),
          random: () => 0.5,
          ...handlers,
        }),
      show: (next) => views.push(next),
      visible: () => visible,
    });
    await settled();
  };
  /** With two companies, and machine 1 of the first one open. */
  const openMachine = async () => {
    await open();
    sockets.open.get('a')?.say(snapshot('a', '1', '2'));
    sockets.open.get('b')?.say(snapshot('b', '1'));
    await pass(100);
    page.open('a/1');
    await pass(100);
  };

  beforeEach(() => {
    clock = fakeClock();
    asked = [];
    answers = normal;
    sockets = new Sockets();
    views = [];
    visible = true;
  });
  afterEach(() => {
    page.close();
    assert.equal(clock.timers, 0, 'a closed page leaves no timer behind');
    assert.equal(sockets.open.size, 0, 'a closed page leaves no connection behind');
  });

  it('follows each company on one connection, however many machines it has', async () => {
    await open();
    assert.equal(views[0]?.phase, 'loading');
    const ids = Array.from({ length: 500 }, (_, index) => `M${index}`);
    sockets.open.get('a')?.say(snapshot('a', ...ids));
    await pass(100);
    assert.deepEqual([...sockets.open.keys()], ['a', 'b']);
    assert.equal(view().machines.length, 500);
    assert.equal(view().loading, true, 'the other company is still to come');
    assert.deepEqual(paths(), ['GET companies']);
  });

  it('begins with one company where there are many', async () => {
    const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    answers = ({ path }) => (path === 'companies' ? companies(...ids) : normal({ path }));
    await open();
    assert.deepEqual([...sockets.open.keys()], ['a']);
    page.choose('g');
    await settled();
    assert.deepEqual([...sockets.open.keys()], ['g']);
  });

  it('finds the first machine within half a second, while there is none', async () => {
    answers = ({ path }) => (path === 'companies' ? companies() : normal({ path }));
    await open();
    await pass(100);
    assert.equal(view().phase, 'empty');
    answers = normal;
    await pass(500);
    assert.deepEqual([...sockets.open.keys()], ['a', 'b']);
  });

  it('filters, finds, sorts and shows as a table what it has, and asks nobody for it', async () => {
    await open();
    sockets.open.get('a')?.say(snapshot('a', '1', '2'));
    say('a', '2', 2, 'status', { ...status('a', '2', 'offline') });
    await pass(100);
    page.filter('offline');
    await pass(100);
    assert.deepEqual(
      view().machines.map(({ key }) => key),
      ['a/2'],
    );
    page.filter('all');
    page.listAs('table');
    page.sortBy('machine');
    await pass(100);
    assert.deepEqual([view().as, view().machines[0]?.key, view().sort.descending], ['table', 'a/2', true]);
    page.find('1');
    await pass(100);
    assert.equal(view().machines.length, 1);
    assert.deepEqual(paths(), ['GET companies']);
  });

  it('opens a machine: its curve in the resolution of the span, its changes, its commands', async () => {
    await openMachine();
    const from = encodeURI(iso(clock.now() - 60 * MINUTE - 100));
    assert.deepEqual(paths().slice(1).sort(), [
      'GET companies/a/commands',
      'GET companies/a/machines/1/status/history?limit=20',
      `GET companies/a/machines/1/telemetry?resolution=raw&from=${from}&limit=1000`,
    ]);
    assert.equal(opened().offers.kind, 'known');
    asked = [];
    for (const [span, resolution] of [
      ['24h', '1m'],
      ['30d', '1h'],
    ] as const) {
      page.show(span);
      await settled();
      assert.match(asked.at(-1)?.path ?? '', new RegExp(`resolution=${resolution}&`));
    }
    asked = [];
    page.show('1h');
    await settled();
    assert.deepEqual(asked, [], 'what is at hand is shown at once');
  });

  it('draws what comes live, and says what changes', async () => {
    await openMachine();
    await pass(1000);
    say('a', '1', 2, 'telemetry', row(13));
    await pass(100);
    const battery = opened().measurements.find(({ name }) => name === 'battery');
    assert.deepEqual([battery?.value, battery?.curve.values.at(-1)], ['13.00', 13]);
    say('a', '1', 3, 'status', {
      ...status('a', '1', 'offline'),
      ...{ previous_status: 'Idle', at: iso(clock.now()), restarted: false },
    });
    say('b', '1', 2, 'telemetry', row(99));
    await pass(100);
    assert.deepEqual(
      [opened().look, opened().changes[0]?.word, opened().battery],
      ['offline', 'Offline', '13.0 V'],
    );
    assert.match(opened().caution, /offline/);
  });

  /** Each day's only minute is the last one. */
  const withMinutes = () => {
    const minute = {
      ...row(12),
      battery: { min: 11, max: 13, mean: 12, count: 6 },
      solar_v: null,
      solar_a: null,
    };
    answers = (request) =>
      request.path.includes('resolution=1m')
        ? list([{ ...minute, at: iso(clock.now() - MINUTE), water: null, extra: {} }])
        : normal(request);
  };

  it('asks for minutes that have ended since, not for the whole day again', async () => {
    withMinutes();
    await openMachine();
    page.show('24h');
    await pass(100);
    asked = [];
    await pass(30_000);
    const again = asked.filter(({ path }) => path.includes('telemetry'));
    assert.equal(again.length, 1);
    const from = Date.parse(/from=([^&]+)/.exec(again[0]?.path ?? '')?.[1] ?? '');
    assert.ok(clock.now() - from < 3 * MINUTE);
  });

  it('loads minutes again where the machine tells of its past, until they are summed up', async () => {
    withMinutes();
    await openMachine();
    page.show('24h');
    await pass(1000);
    const told = iso(clock.now() - 120 * MINUTE);
    asked = [];
    say('a', '1', 2, 'telemetry', { ...row(11), at: told });
    const froms: string[] = [];
    for (let second = 0; second < 300; second += 1) await pass(1000);
    for (const { path } of asked) {
      if (path.includes('telemetry')) froms.push(/from=([^&]+)/.exec(path)?.[1] ?? '');
    }
    assert.equal(froms[0], told);
    const again = froms.filter((from) => from === told).length;
    assert.ok(again >= 12 && again <= 14, `${again} times`);
    assert.notEqual(froms.at(-1), told);
  });

  it('loads what it missed when the live feed begins anew', async () => {
    await openMachine();
    sockets.open.get('a')?.end(1006);
    await pass(1000);
    assert.equal(view().connection.look, 'stale');
    asked = [];
    await pass(1000);
    sockets.open.get('a')?.say(snapshot('a', '1'));
    await pass(100);
    assert.equal(asked.filter(({ path }) => path.includes('/machines/1/telemetry')).length, 1);
    assert.equal(opened().key, 'a/1');
  });

  it('sends a command once, shows it at once, and follows it to the machine’s word', async () => {
    await openMachine();
    let answer: (value: Answer) => void = () => {};
    answers = (request) =>
      request.method === 'POST' || request.path.includes('/commands/')
        ? new Promise((resolve) => {
            answer = resolve;
          })
        : normal(request);
    asked = [];
    const sent = page.send('stop', { now: true });
    await pass(100);
    assert.deepEqual([opened().busy, opened().sent[0]?.text], [true, 'Asking the gateway.']);
    answer(command('PENDING'));
    await pass(100);
    assert.equal(opened().sent[0]?.steps[1]?.state, 'now');
    answer(command('COMPLETED'));
    await sent;
    await pass(100);
    assert.deepEqual(
      asked
        .filter(({ path }) => !path.startsWith('companies?'))
        .map(({ method, path, body }) => [method, path, body]),
      [
        ['POST', 'companies/a/machines/1/command', { command: 'stop', params: { now: true } }],
        ['GET', 'companies/a/machines/1/commands/id-1', undefined],
      ],
    );
    assert.match(view().spoken, /^stop: Sent\. What the machine does/);
    await pass(1000);
    say('a', '1', 2, 'status', status('a', '1', 'Idle'));
    await pass(100);
    assert.match(opened().sent[0]?.text ?? '', /as before/);
    say('a', '1', 3, 'status', status('a', '1', 'Stopped'));
    await pass(100);
    assert.equal(opened().sent[0]?.text, 'Sent. The machine says Stopped; before it was Idle.');
  });

  it('never sends a command again whose answer did not come, and says that nobody knows', async () => {
    await openMachine();
    answers = (request) => (request.method === 'POST' ? undefined : normal(request));
    await page.send('stop', {});
    await pass(MINUTE);
    assert.equal(asked.filter(({ method }) => method === 'POST').length, 1);
    assert.match(opened().sent[0]?.text ?? '', /may have sent it all the same/);
  });

  it('shows what the gateway refuses, with its words', async () => {
    await openMachine();
    const error = { code: 'invalid_input', message: '/params/speed must be <= 10' };
    answers = (request) => (request.method === 'POST' ? { status: 400, body: { error } } : normal(request));
    await page.send('stop', {});
    await pass(100);
    assert.equal(opened().sent[0]?.text, '/params/speed must be <= 10. Nothing was sent.');
  });

  it('asks for a login where a command wants one, and sends it then', async () => {
    await openMachine();
    answers = (request) => {
      if (request.path === 'api/token/') return { body: { access: 'x', refresh: 'y' } };
      if (request.method !== 'POST') return normal(request);
      return request.token === undefined
        ? { status: 401, body: { error: { code: 'unauthenticated' } } }
        : command('COMPLETED');
    };
    await page.send('stop', {});
    await pass(100);
    assert.deepEqual([view().login?.purpose, view().phase, opened().sent.length], ['command', 'ready', 0]);
    page.cancelLogin();
    await pass(100);
    assert.equal(view().login, undefined);
    await page.send('stop', {});
    await page.login('ann', 'secret');
    await pass(100);
    assert.deepEqual([view().username, opened().sent.length, opened().sent[0]?.title], ['ann', 1, 'stop']);
  });

  it('shows nothing without a login where reading wants one, and nothing any more after logging out', async () => {
    answers = (request) => {
      if (request.path === 'api/token/') return { body: { access: 'x', refresh: 'y' } };
      if (request.path === 'api/ws-ticket') return { body: { ticket: 't' } };
      return request.token === undefined ? { status: 401, body: {} } : normal(request);
    };
    await open();
    await pass(100);
    assert.equal(view().phase, 'login');
    await page.login('ann', 'secret');
    await pass(100);
    assert.equal(view().phase, 'ready');
    page.logout();
    await pass(100);
    assert.deepEqual([view().phase, view().machines, view().choices], ['login', [], []]);
    assert.equal(sockets.open.size, 0);
  });

  it('says that it is not connected, and comes back by itself', async () => {
    await openMachine();
    answers = () => undefined;
    sockets.open.get('a')?.end(1006);
    sockets.open.get('b')?.end(1006);
    await pass(31_000);
    await pass(1000);
    assert.equal(view().connection.look, 'disconnected');
    assert.equal(opened().battery, '12.0 V', 'what was known stays');
    answers = normal;
    for (let turn = 0; turn < 40 && view().connection.look !== 'live'; turn += 1) {
      for (const company of ['a', 'b']) sockets.open.get(company)?.say(snapshot(company, '1'));
      await pass(1000);
    }
    assert.equal(view().connection.look, 'live');
  });

  it('says an error of the gateway, and which commands could not be loaded', async () => {
    answers = () => ({ status: 500, body: { error: { code: 'internal', message: 'broken' } } });
    await open();
    await pass(100);
    assert.deepEqual([view().phase, view().problem?.code], ['error', 'internal']);
    answers = (request) => (request.path.endsWith('/commands') ? { status: 404, body: {} } : normal(request));
    page.retry();
    await pass(100);
    sockets.open.get('a')?.say(snapshot('a', '1'));
    await pass(100);
    page.open('a/1');
    await pass(100);
    assert.equal(opened().offers.kind, 'none');
  });

  it('asks for nothing while nobody can see it', async () => {
    await open();
    visible = false;
    asked = [];
    await pass(MINUTE);
    assert.deepEqual(asked, []);
    visible = true;
    page.returned();
    await settled();
    assert.deepEqual(paths(), ['GET companies']);
  });
});
