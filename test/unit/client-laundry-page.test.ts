import assert from 'node:assert/strict';
import { LaundryPage } from '../../client/laundry-page.js';
import type { LaundryView } from '../../client/laundry-view.js';
import { LiveFeed } from '../../client/live-feed.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';
import { type Answer, apiOf, Sockets, settled } from '../support/fake-gateway.js';

describe('page Laundry, what it does', () => {
  let clock: FakeClock;
  let asked: string[];
  let answers: (path: string, token: string | undefined) => Answer | undefined;
  let sockets: Sockets;
  let views: LaundryView[];
  let visible: boolean;
  let page: LaundryPage;

  const view = () => {
    const last = views.at(-1);
    assert.ok(last);
    return last;
  };
  const pass = async (ms: number) => {
    await settled();
    clock.advance(ms);
    await settled();
  };
  const stores = (...ids: string[]) => ({ body: { items: ids.map((store_id) => ({ store_id })) } });
  const nothing = { body: { items: [], next_cursor: null } };
  const normal = (path: string) => (path === 'stores' ? stores('a', 'b') : nothing);
  const snapshotOf = (storeId: string) => ({
    type: 'snapshot',
    seq: 1,
    data: {
      store_id: storeId,
      controllers: [
        {
          controller_id: 'c',
          online: true,
          last_seen: new Date(clock.now()).toISOString(),
          machines: [
            {
              relay_id: 1,
              machine_type: 'washer',
              status: 'busy',
              last_updated: new Date(clock.now()).toISOString(),
              since: new Date(clock.now()).toISOString(),
            },
          ],
        },
      ],
    },
  });

  const open = async () => {
    const api = apiOf(({ path, token }) => {
      asked.push(path);
      return answers(path, token);
    });
    page = new LaundryPage({
      api,
      clock,
      openFeed: (storeId, handlers) =>
        new LiveFeed({
          url: `ws://gateway/realtime/stores/${storeId}`,
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

  it('follows every shop that the gateway tells of', async () => {
    await open();
    assert.equal(views[0]?.phase, 'loading');
    await pass(100);
    assert.equal(view().phase, 'ready');
    assert.deepEqual([...sockets.open.keys()], ['a', 'b']);
  });

  it('finds a new shop within half a second', async () => {
    answers = (path) => (path === 'stores' ? stores() : nothing);
    await open();
    await pass(100);
    assert.equal(view().phase, 'empty');
    answers = (path) => (path === 'stores' ? stores('new') : nothing);
    await pass(500);
    sockets.open.get('new')?.say(snapshotOf('new'));
    await pass(100);
    assert.equal(view().shops[0]?.controllers[0]?.tiles[0]?.title, 'Washer 1');
  });

  it('follows one shop first where there are many, and the one that is chosen', async () => {
    answers = (path) => (path === 'stores' ? stores('a', 'b', 'c', 'd', 'e', 'f', 'g') : nothing);
    await open();
    assert.deepEqual([...sockets.open.keys()], ['a']);
    page.choose('g');
    await settled();
    assert.deepEqual([...sockets.open.keys()], ['g']);
    page.choose(undefined);
    await settled();
    assert.equal(sockets.open.size, 7);
  });

  it('leaves a shop that the gateway no longer tells of', async () => {
    await open();
    answers = (path) => (path === 'stores' ? stores('b') : nothing);
    await pass(500);
    assert.deepEqual([...sockets.open.keys()], ['b']);
  });

  it('asks for the history page by page until its end', async () => {
    answers = (path) => {
      if (!path.startsWith('stores/a/machines/history')) return normal(path);
      const cursor = new URLSearchParams(path.split('?')[1]).get('cursor');
      const next = { null: 'two/+', 'two/+': 'three', three: null }[String(cursor)];
      return { body: { items: [], next_cursor: next } };
    };
    await open();
    sockets.open.get('a')?.say(snapshotOf('a'));
    await settled();
    const cursors = asked
      .filter((path) => path.includes('/a/machines/history'))
      .map((path) => new URLSearchParams(path.split('?')[1]).get('cursor'));
    assert.deepEqual(cursors, [null, 'two/+', 'three']);
  });

  it('asks for today’s figures two seconds after a change, once for many changes', async () => {
    await open();
    const socket = sockets.open.get('a');
    socket?.say(snapshotOf('a'));
    await settled();
    asked.length = 0;
    for (let seq = 2; seq < 10; seq++) {
      const at = new Date(clock.now() + seq).toISOString();
      const data = { controller_id: 'c', relay_id: 1, machine_type: 'washer', previous_status: 'idle' };
      socket?.say({
        type: 'change',
        seq,
        data: { ...data, status: 'busy', last_updated: at, received_at: at },
      });
    }
    await pass(2000);
    assert.equal(asked.filter((path) => path.includes('/a/machines/statistics')).length, 1);
  });

  it('draws no more than ten times a second, however much comes', async () => {
    await open();
    await pass(1000);
    const before = views.length;
    const socket = sockets.open.get('a');
    socket?.say(snapshotOf('a'));
    for (let seq = 2; seq < 1000; seq++) socket?.say({ type: 'other', seq });
    await pass(100);
    assert.ok(views.length - before <= 2, `${views.length - before} drawings`);
  });

  it('doubts its feeds and asks only for a sign of life while the gateway does not answer', async () => {
    await open();
    sockets.open.get('a')?.say(snapshotOf('a'));
    sockets.open.get('b')?.say(snapshotOf('b'));
    await settled();
    answers = () => undefined;
    await pass(500);
    assert.equal(view().connection.look, 'stale');
    asked.length = 0;
    await pass(8000);
    assert.deepEqual(new Set(asked), new Set(['stores']));
    answers = normal;
    await pass(2000);
    sockets.open.get('a')?.say(snapshotOf('a'));
    sockets.open.get('b')?.say(snapshotOf('b'));
    await pass(100);
    assert.equal(view().connection.look, 'live');
  });

  it('tells an error that the gateway answers with, until it is over', async () => {
    const error = { code: 'store_unavailable', message: 'The database does not answer.' };
    answers = () => ({ status: 503, body: { error } });
    await open();
    await pass(100);
    assert.equal(view().phase, 'error');
    assert.deepEqual(view().problem, error);
    answers = normal;
    page.retry();
    await pass(100);
    assert.equal(view().phase, 'ready');
    assert.equal(view().problem, undefined);
  });

  it('asks for nothing while nobody can see it, and at once when it is seen again', async () => {
    await open();
    await pass(1000);
    visible = false;
    const before = asked.length;
    await pass(60_000);
    assert.equal(asked.length, before);
    visible = true;
    page.returned();
    await settled();
    assert.ok(asked.slice(before).includes('stores'));
  });

  it('asks for a login where reading wants one, and goes on after it', async () => {
    answers = (path, token) => {
      if (path === 'api/token/') return { body: { access: 'good', refresh: 'r' } };
      if (path === 'api/ws-ticket') return { body: { ticket: 't' } };
      return token === 'Bearer good' ? normal(path) : { status: 401, body: {} };
    };
    await open();
    await pass(100);
    assert.equal(view().phase, 'login');
    const knocks = asked.length;
    await pass(10_000);
    assert.equal(asked.length, knocks, 'it does not go on knocking');
    await page.login('ann', 'secret');
    await pass(100);
    assert.equal(view().phase, 'ready');
    assert.deepEqual([...sockets.open.keys()], ['a?ticket=t', 'b?ticket=t']);
  });

  it('says who is logged in, and keeps nothing when they log out or somebody else comes', async () => {
    let shops = ['a', 'b'];
    answers = (path, token) => {
      if (path === 'api/token/') return { body: { access: 'good', refresh: 'r' } };
      if (path === 'api/ws-ticket') return { body: { ticket: 't' } };
      if (token !== 'Bearer good') return { status: 401, body: {} };
      return path === 'stores' ? stores(...shops) : withLetter(path);
    };
    await open();
    await page.login('ann', 'secret');
    await pass(100);
    assert.deepEqual([view().username, view().shops.length, view().refused.items.length], ['ann', 2, 1]);
    page.logout();
    await pass(100);
    assert.deepEqual([view().phase, view().username], ['login', undefined]);
    assert.deepEqual([view().shops, view().choices, view().refused.items], [[], [], []]);
    assert.equal(sockets.open.size, 0);
    shops = ['c'];
    await page.login('bob', 'secret');
    await pass(100);
    assert.deepEqual([view().username, view().shops.map(({ storeId }) => storeId)], ['bob', ['c']]);
  });

  it('takes no answer to somebody who has logged out meanwhile', async () => {
    answers = (path) =>
      path === 'api/token/' ? { body: { access: 'good', refresh: 'r' } } : withLetter(path);
    await open();
    await page.login('ann', 'secret');
    await pass(100);
    clock.advance(5000);
    page.logout();
    answers = (path) => (path === 'stores' ? stores() : nothing);
    await pass(100);
    assert.deepEqual([view().phase, view().refused.items], ['empty', []]);
  });

  it('says when name or password is wrong', async () => {
    answers = () => ({ status: 401, body: {} });
    await open();
    await page.login('ann', 'wrong');
    await pass(100);
    assert.equal(view().login?.error, 'Name or password is wrong.');
    assert.equal(view().login?.pending, false);
  });

  const letter = {
    id: '5',
    received_at: new Date(0).toISOString(),
    protocol: 'laundry',
    topic: 't',
    code: 'invalid_json',
    message: 'not JSON',
    payload_base64: '',
  };
  const withLetter = (path: string): Answer =>
    path.startsWith('dead-letters?') ? { body: { items: [letter], next_cursor: null } } : normal(path);
  const replayText = () => view().refused.items[0]?.replay.text;

  it('shows within 100 ms that a replay was asked for, and then what became of it', async () => {
    answers = (path) =>
      path.endsWith('/replay')
        ? { body: { accepted: false, code: 'x', message: 'still not JSON' } }
        : withLetter(path);
    await open();
    await pass(100);
    const replay = page.replay('5');
    clock.advance(100);
    assert.equal(replayText(), 'Sending it through again …');
    await replay;
    await pass(100);
    assert.equal(replayText(), 'Refused again: still not JSON');
  });

  it('asks for a login where a replay wants one, and replays after it', async () => {
    answers = (path, token) => {
      if (path === 'api/token/') return { body: { access: 'good', refresh: 'r' } };
      if (path === 'api/ws-ticket') return { body: { ticket: 't' } };
      if (!path.endsWith('/replay')) return withLetter(path);
      return token === 'Bearer good' ? { body: { accepted: true } } : { status: 401, body: {} };
    };
    await open();
    await page.replay('5');
    await pass(100);
    assert.equal(view().phase, 'ready', 'reading goes on');
    assert.equal(view().login?.purpose, 'replay');
    assert.equal(replayText(), '');
    await page.login('ann', 'secret');
    await pass(100);
    assert.equal(replayText(), 'Accepted this time.');
  });

  it('keeps the machines in sight where refused messages are not for this user', async () => {
    const error = { code: 'forbidden', message: 'refused messages are for administrators' };
    answers = (path) => (path.startsWith('dead-letters') ? { status: 403, body: { error } } : normal(path));
    await open();
    await pass(100);
    assert.equal(view().phase, 'ready');
    assert.equal(view().problem, undefined);
    assert.deepEqual(view().refused.problem, error);
  });
});
