import assert from 'node:assert/strict';
import type { Api } from '../../client/api.js';
import { LiveFeed } from '../../client/live-feed.js';
import type { PondsView } from '../../client/pond-view.js';
import { PondsPage } from '../../client/ponds-page.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';
import { type Answer, type Asked, apiOf, Sockets, settled } from '../support/fake-gateway.js';
import { alertWire, DONE, executionWire, pondWire, readingWire } from '../support/ponds.js';

const NOTHING: Answer = { body: { items: [], next_cursor: null } };
const ACCEPTED: Answer = {
  body: { success: true, data: { execution_id: 7, message: 'm', feed_amount: 100 } },
};

describe('page Ponds, what it does', () => {
  let clock: FakeClock;
  let api: Api;
  let asked: Asked[];
  let answers: (asked: Asked) => Answer | undefined | Promise<Answer | undefined>;
  let sockets: Sockets;
  let views: PondsView[];
  let visible: boolean;
  let page: PondsPage;
  let keys: number;

  const view = () => {
    const last = views.at(-1);
    assert.ok(last);
    return last;
  };
  const opened = () => {
    const { opened } = view();
    assert.ok(opened);
    return opened;
  };
  const pass = async (ms: number) => {
    await settled();
    clock.advance(ms);
    await settled();
  };
  const ponds = (...ids: number[]): Answer => ({
    body: { items: ids.map((pond_id) => pondWire(clock.now(), { pond_id, name: `Pond ${pond_id}` })) },
  });
  const isList = ({ path }: Asked) => path.startsWith('automation/ponds/?');
  const isPress = ({ method, path }: Asked) => method === 'POST' && path.includes('/control/');
  /** Everything but the list of ponds and what a test answers itself. */
  const usual = (one: Asked): Answer => {
    if (one.path === 'api/token/') return { body: { access: 'good', refresh: 'r' } };
    if (one.path === 'api/ws-ticket') return { body: { ticket: 't' } };
    return NOTHING;
  };
  const withPonds =
    (...ids: number[]) =>
    (one: Asked) =>
      isList(one) ? ponds(...ids) : usual(one);
  const socket = (pondId: number) => sockets.open.get(`${pondId}?ticket=t`);
  const snapshot = (pondId: number, part: object = {}) =>
    socket(pondId)?.say({
      type: 'snapshot',
      seq: 1,
      data: {
        ...pondWire(clock.now(), { pond_id: pondId, name: `Pond ${pondId}` }),
        executions: [],
        ...part,
      },
    });
  const presses = () => asked.filter(isPress);

  const open = async ({ login = true } = {}) => {
    api = apiOf((one) => {
      asked.push(one);
      return answers(one);
    });
    if (login) await api.login('ann', 'secret');
    asked.length = 0;
    page = new PondsPage({
      api,
      clock,
      openFeed: (pondId, handlers) =>
        new LiveFeed({
          url: `ws://gateway/realtime/ponds/${pondId}`,
          clock,
          connect: (url) => sockets.connect(url),
          ticket: () => api.ticket(),
          random: () => 0.5,
          ...handlers,
        }),
      show: (next) => views.push(next),
      visible: () => visible,
      newKey: () => {
        keys += 1;
        return `key-${keys}`;
      },
    });
    await pass(100);
  };

  beforeEach(() => {
    clock = fakeClock();
    asked = [];
    answers = withPonds(1);
    sockets = new Sockets();
    views = [];
    visible = true;
    keys = 0;
  });
  afterEach(() => {
    page.close();
    assert.equal(clock.timers, 0, 'a closed page leaves no timer behind');
    assert.equal(sockets.open.size, 0, 'a closed page leaves no connection behind');
  });

  describe('with a login', () => {
    it('begins with the form, and asks the gateway for nothing before', async () => {
      await open({ login: false });
      await pass(20_000);
      assert.equal(view().phase, 'login');
      assert.deepEqual(asked, []);
      await page.login('ann', 'secret');
      await pass(100);
      assert.equal(view().phase, 'ready');
      assert.equal(view().username, 'ann');
    });

    it('says when name or password is wrong', async () => {
      answers = () => ({
        status: 401,
        body: { detail: 'No active account found with the given credentials' },
      });
      await open({ login: false });
      await page.login('ann', 'wrong');
      await pass(100);
      assert.deepEqual(view().login, { pending: false, error: 'Name or password is wrong.' });
    });

    it('asks again where the login has ended, and goes on after it', async () => {
      await open();
      snapshot(1);
      answers = () => ({ status: 401, body: { detail: 'x' } });
      await pass(5000);
      assert.equal(view().phase, 'login');
      const knocks = asked.length;
      await pass(20_000);
      assert.equal(asked.length, knocks, 'it does not go on knocking');
      answers = withPonds(1);
      await page.login('ann', 'secret');
      await pass(100);
      assert.equal(view().phase, 'ready');
    });

    it('leaves nothing to who comes after a logout', async () => {
      await open();
      snapshot(1, { name: 'Ann’s pond' });
      await pass(100);
      page.logout();
      await pass(100);
      assert.equal(view().phase, 'login');
      assert.equal(sockets.open.size, 0);
      assert.equal(api.loggedIn, false);
      answers = withPonds(2);
      await page.login('bob', 'secret');
      await pass(100);
      assert.equal(view().username, 'bob');
      assert.deepEqual([view().opened?.pondId, view().cards.length], [2, 0]);
      assert.doesNotMatch(JSON.stringify(view()), /Ann/);
    });

    it('drops an answer that was asked for by who has logged out', async () => {
      await open();
      let late: ((answer: Answer) => void) | undefined;
      answers = (one) => (isList(one) ? new Promise((resolve) => (late = resolve)) : usual(one));
      await pass(5000);
      assert.ok(late);
      page.logout();
      late(ponds(1, 2, 3));
      await pass(200);
      assert.equal(view().phase, 'login');
      assert.equal(sockets.open.size, 0);
    });
  });

  describe('with ponds', () => {
    it('opens the only one, and follows it live', async () => {
      await open();
      assert.deepEqual([...sockets.open.keys()], ['1?ticket=t']);
      assert.equal(opened().name, 'Pond 1');
      assert.deepEqual(view().choices, []);
    });

    it('shows a card of each of several, and opens the one that is chosen', async () => {
      answers = withPonds(2, 1, 3);
      await open();
      assert.deepEqual(
        view().cards.map(({ pondId }) => pondId),
        [1, 2, 3],
      );
      assert.equal(view().opened, undefined);
      page.open(2);
      await pass(100);
      assert.equal(opened().pondId, 2);
      assert.deepEqual(
        view().choices.map(({ label, chosen }) => `${label} ${chosen}`),
        ['All ponds false', 'Pond 1 false', 'Pond 2 true', 'Pond 3 false'],
      );
      page.open(undefined);
      await pass(100);
      assert.equal(view().cards.length, 3);
    });

    it('says what to do where there is none, and finds the first within a second', async () => {
      answers = withPonds();
      await open();
      assert.equal(view().phase, 'empty');
      answers = withPonds(1);
      await pass(1000);
      await pass(100);
      assert.equal(view().phase, 'ready');
    });

    it('follows no more than some live, and the opened one always', async () => {
      answers = withPonds(...Array.from({ length: 40 }, (_, index) => index + 1));
      await open();
      assert.equal(sockets.open.size, 0);
      page.open(30);
      await settled();
      assert.deepEqual([...sockets.open.keys()], ['30?ticket=t']);
      page.open(undefined);
      await pass(100);
      assert.equal(view().cards.length, 40);
      assert.deepEqual([view().cards[0]?.command, view().cards[0]?.untouched], [undefined, false]);
    });

    it('leaves a pond that is no longer there', async () => {
      answers = withPonds(1, 2);
      await open();
      page.open(2);
      answers = withPonds(1);
      await pass(5000);
      await pass(100);
      assert.deepEqual([...sockets.open.keys()], ['1?ticket=t']);
      assert.equal(opened().pondId, 1);
    });

    it('asks for nothing while nobody can see it, and at once when it is seen again', async () => {
      await open();
      visible = false;
      const before = asked.length;
      await pass(60_000);
      assert.deepEqual(asked.slice(before).filter(isList), []);
      visible = true;
      page.returned();
      await settled();
      assert.equal(asked.slice(before).filter(isList).length, 1);
    });

    it('tells an error that the gateway answers with, until it is over', async () => {
      answers = (one) =>
        isList(one) ? { status: 500, body: { success: false, error: 'no database' } } : usual(one);
      await open();
      assert.equal(view().phase, 'error');
      assert.equal(view().problem?.message, 'no database');
      answers = withPonds(1);
      page.retry();
      await pass(100);
      assert.equal(view().phase, 'ready');
    });

    it('is stale while the gateway does not answer, and live again by itself', async () => {
      await open();
      snapshot(1);
      await pass(100);
      assert.equal(view().connection.look, 'live');
      answers = () => undefined;
      await pass(5000);
      await pass(100);
      assert.equal(view().connection.look, 'stale');
      await pass(31_000);
      assert.equal(view().connection.look, 'disconnected');
      answers = withPonds(1);
      await pass(2000);
      snapshot(1);
      await pass(100);
      assert.equal(view().connection.look, 'live');
    });
  });

  describe('with a press', () => {
    beforeEach(async () => {
      await open();
      snapshot(1);
      await pass(100);
    });

    it('shows within 100 ms that it was taken, and then its way as the feed tells it', async () => {
      answers = (one) => (isPress(one) ? ACCEPTED : withPonds(1)(one));
      const fed = page.feed(1, 100);
      clock.advance(100);
      assert.deepEqual([opened().order?.title, opened().order?.text], ['Feed 100 g', 'Asking the gateway …']);
      assert.equal(opened().busy, true);
      await fed;
      await pass(100);
      assert.equal(opened().order?.text, 'The gateway has taken it.');
      const seen: string[] = [];
      for (const [index, count] of [1, 2, 4].entries()) {
        const data = executionWire(clock.now(), { execution_id: 7, steps: DONE.slice(0, count) });
        socket(1)?.say({ type: 'execution', seq: 2 + index, data });
        await pass(100);
        assert.equal(opened().order, undefined);
        seen.push(`${opened().current[0]?.status}`);
      }
      assert.deepEqual(seen, ['PENDING', 'SENT', 'COMPLETED']);
      assert.equal(opened().history.length, 1);
      assert.equal(view().spoken, 'Pond 1. Feed 100 g: Done.');
      assert.deepEqual(presses()[0]?.body, { amount: 100 });
    });

    it('asks for the valve with its time, and without', async () => {
      answers = (one) => (isPress(one) ? ACCEPTED : withPonds(1)(one));
      await page.water(1, 'open', 900);
      await page.water(1, 'close');
      assert.deepEqual(
        presses().map(({ path, body }) => [path, body]),
        [
          ['automation/ponds/1/control/water/', { action: 'open', duration_s: 900 }],
          ['automation/ponds/1/control/water/', { action: 'close' }],
        ],
      );
    });

    it('asks again with the same key where the answer is lost: it feeds once', async () => {
      let lost = 2;
      answers = (one) => {
        if (!isPress(one)) return withPonds(1)(one);
        lost -= 1;
        if (lost === 1) return undefined;
        return lost === 0 ? { status: 502, body: '<html>' } : ACCEPTED;
      };
      await page.feed(1, 100);
      await pass(100);
      assert.match(opened().order?.text ?? '', /Asking again; it is done once at most/);
      assert.equal(opened().busy, true);
      await pass(1000);
      await pass(2000);
      assert.deepEqual(
        presses().map(({ idempotencyKey }) => idempotencyKey),
        ['key-1', 'key-1', 'key-1'],
      );
      await pass(100);
      assert.equal(opened().order?.text, 'The gateway has taken it.');
    });

    it('has a new key for each press', async () => {
      answers = (one) => (isPress(one) ? ACCEPTED : withPonds(1)(one));
      await page.feed(1, 100);
      await page.feed(1, 100);
      const used = presses().map(({ idempotencyKey }) => idempotencyKey);
      assert.equal(new Set(used).size, 2);
    });

    it('gives up after half a minute, says what that means, and asks with the same key if somebody wants it', async () => {
      answers = (one) => (isPress(one) ? undefined : withPonds(1)(one));
      await page.feed(1, 100);
      for (let second = 0; second < 45; second += 1) await pass(1000);
      assert.match(opened().order?.text ?? '', /may have taken the command all the same/);
      assert.equal(opened().order?.mayRepeat, true);
      assert.equal(opened().busy, false);
      const before = presses().length;
      await pass(60_000);
      assert.equal(presses().length, before, 'it does not feed when nobody expects it any more');
      answers = (one) => (isPress(one) ? ACCEPTED : withPonds(1)(one));
      page.orderAgain(1);
      await pass(100);
      assert.equal(presses().at(-1)?.idempotencyKey, presses()[0]?.idempotencyKey);
      assert.equal(opened().order?.text, 'The gateway has taken it.');
    });

    for (const [status, body, text] of [
      [
        500,
        { success: false, error: 'MQTT client not connected' },
        'The gateway has no connection to the broker. Nothing was sent: try again later.',
      ],
      [
        403,
        { success: false, error: 'Access denied' },
        'This pond belongs to somebody else. Nothing was sent.',
      ],
      [
        404,
        { success: false, error: 'Pond not found' },
        'The gateway no longer knows this pond. Nothing was sent.',
      ],
      [
        400,
        { success: false, error: 'Amount must be positive' },
        'Amount must be positive. Nothing was sent.',
      ],
    ] as const) {
      it(`says in plain words why the gateway refuses with ${status}, and asks once`, async () => {
        answers = (one) => (isPress(one) ? { status, body } : withPonds(1)(one));
        await page.feed(1, 100);
        await pass(10_000);
        assert.equal(opened().order?.text, text);
        assert.equal(opened().order?.look, 'failed');
        assert.equal(presses().length, 1);
      });
    }

    it('asks for a login where that has ended, and does not feed after it by itself', async () => {
      answers = (one) => (one.path === 'api/token/' ? usual(one) : { status: 401, body: { detail: 'x' } });
      await page.feed(1, 100);
      await pass(100);
      assert.equal(view().phase, 'login');
      answers = (one) => (isPress(one) ? ACCEPTED : withPonds(1)(one));
      const before = presses().length;
      await page.login('ann', 'secret');
      await pass(1000);
      assert.equal(presses().length, before);
      assert.match(opened().order?.text ?? '', /Nothing was sent: log in and press again/);
    });

    it('cancels a command with what the gateway then tells of it', async () => {
      socket(1)?.say({ type: 'execution', seq: 2, data: executionWire(clock.now(), { execution_id: 7 }) });
      await pass(100);
      assert.equal(opened().current[0]?.mayCancel, true);
      answers = (one) => {
        if (one.path !== 'automation/executions/7/cancel/') return withPonds(1)(one);
        const data = executionWire(clock.now(), {
          execution_id: 7,
          steps: [
            ['PENDING', 'created', 0, 0],
            ['CANCELLED', 'cancelled', 5, 0],
          ],
        });
        return { body: { success: true, data } };
      };
      const cancelled = page.cancel(1, 7);
      clock.advance(100);
      assert.equal(opened().current[0]?.cancel.pending, true);
      await cancelled;
      await pass(100);
      assert.equal(opened().current[0]?.text, 'Cancelled before it was sent. Nothing was fed.');
    });

    it('says why a command cannot be cancelled any more', async () => {
      socket(1)?.say({ type: 'execution', seq: 2, data: executionWire(clock.now(), { execution_id: 7 }) });
      answers = (one) =>
        one.path.endsWith('/cancel/')
          ? { status: 409, body: { success: false, error: 'it is COMPLETED already' } }
          : withPonds(1)(one);
      await page.cancel(1, 7);
      await pass(100);
      assert.deepEqual(opened().current[0]?.cancel, { pending: false, error: 'it is COMPLETED already' });
    });

    it('acknowledges an alert in the name of who is logged in', async () => {
      socket(1)?.say({ type: 'alert', seq: 2, data: alertWire(clock.now()) });
      await pass(100);
      assert.equal(view().attention.length, 1);
      const at = new Date(clock.now()).toISOString();
      answers = (one) =>
        one.path === 'automation/alerts/a-1/acknowledge/'
          ? {
              body: {
                success: true,
                data: alertWire(clock.now(), { acknowledged_at: at, acknowledged_by: 'ann' }),
              },
            }
          : withPonds(1)(one);
      const acknowledged = page.acknowledge(1, 'a-1');
      clock.advance(100);
      assert.equal(opened().alertList[0]?.pending, true);
      await acknowledged;
      await pass(100);
      assert.match(opened().alertList[0]?.acknowledged ?? '', /^Acknowledged by ann/);
      assert.equal(view().attention.length, 0);
    });
  });

  describe('with the past of a pond', () => {
    const BEGIN = fakeClock().now();
    const minutes = (from: number, count: number) =>
      Array.from({ length: count }, (_, index) =>
        readingWire(BEGIN - (from + index) * 60_000, { temperature: 20 + index / 100 }),
      );
    const curve = () => opened().measurements.find(({ parameter }) => parameter === 'temperature')?.curve;

    it('loads the hour of the opened one page by page, and goes on live', async () => {
      answers = (one) => {
        if (!one.path.startsWith('automation/ponds/1/readings/')) return withPonds(1)(one);
        return one.path.includes('cursor=')
          ? { body: { items: minutes(31, 20), next_cursor: null } }
          : { body: { items: minutes(1, 30), next_cursor: 'c/1' } };
      };
      await open();
      snapshot(1);
      await pass(100);
      assert.equal(curve()?.values.filter((value) => value !== null).length, 50);
      socket(1)?.say({ type: 'reading', seq: 2, data: readingWire(clock.now(), { temperature: 25 }) });
      await pass(6000);
      assert.equal(curve()?.values.at(-1), 25);
      assert.equal(opened().measurements[1]?.value, '25.0');
    });

    it('loads a day when somebody wants a day, and nothing again for the hour', async () => {
      await open();
      snapshot(1);
      await pass(100);
      const spans = () =>
        asked
          .filter(({ path }) => path.includes('/readings/'))
          .map(
            ({ path }) => clock.now() - Date.parse(new URLSearchParams(path.split('?')[1]).get('from') ?? ''),
          );
      asked.length = 0;
      page.show('24h');
      await pass(100);
      assert.equal(opened().span, '24h');
      assert.deepEqual(
        spans().map((ms) => Math.round(ms / 3_600_000)),
        [24],
      );
      page.show('1h');
      await pass(100);
      assert.equal(spans().length, 1);
    });

    it('asks after a lost connection for what was missed, not for everything', async () => {
      answers = (one) =>
        one.path.startsWith('automation/ponds/1/readings/')
          ? { body: { items: minutes(0, 30), next_cursor: null } }
          : withPonds(1)(one);
      await open();
      snapshot(1);
      await pass(100);
      asked.length = 0;
      socket(1)?.end(1006);
      await pass(2000);
      snapshot(1);
      await pass(100);
      const [again] = asked.filter(({ path }) => path.includes('/readings/'));
      const from = Date.parse(new URLSearchParams(again?.path.split('?')[1]).get('from') ?? '');
      assert.ok(clock.now() - from < 15 * 60_000);
    });

    it('shows older commands page by page, until there are no more', async () => {
      const executions = (from: number, count: number) =>
        Array.from({ length: count }, (_, index) =>
          executionWire(clock.now() - index * 1000, { execution_id: from - index, steps: DONE }),
        );
      answers = (one) => {
        if (!one.path.startsWith('automation/ponds/1/executions/')) return withPonds(1)(one);
        return one.path.includes('cursor=')
          ? { body: { items: executions(50, 10), next_cursor: null } }
          : { body: { items: executions(100, 50), next_cursor: 'next' } };
      };
      await open();
      snapshot(1, { executions: executions(100, 20) });
      await pass(100);
      assert.deepEqual([opened().history.length, opened().mayLoadMore], [20, true]);
      await page.loadMore(1);
      await pass(100);
      assert.deepEqual([opened().history.length, opened().mayLoadMore], [50, true]);
      await page.loadMore(1);
      await pass(100);
      assert.deepEqual([opened().history.length, opened().mayLoadMore], [60, false]);
    });

    it('offers nothing older where the first message has it all', async () => {
      await open();
      snapshot(1, { executions: [executionWire(clock.now())] });
      await pass(100);
      assert.equal(opened().mayLoadMore, false);
    });
  });
});
