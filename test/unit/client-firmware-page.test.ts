import assert from 'node:assert/strict';
import type { Api, SendFile } from '../../client/api.js';
import { checkDraft, newDraft } from '../../client/firmware-draft.js';
import { FirmwarePage } from '../../client/firmware-page.js';
import type { FirmwareView } from '../../client/firmware-view.js';
import { LiveFeed } from '../../client/live-feed.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';
import { type Answer, type Asked, apiOf, Sockets, settled } from '../support/fake-gateway.js';
import {
  controllerOf,
  deploymentWire,
  imageWire,
  rolloutWire,
  STORE,
  stageWire,
} from '../support/firmware-wire.js';

const UNAUTHENTICATED: Answer = {
  status: 401,
  body: { error: { code: 'unauthenticated', message: 'a token' } },
};
const page1 = (items: unknown[], next_cursor: string | null = null): Answer => ({
  body: { items, next_cursor },
});

describe('page Firmware, what it does', () => {
  let clock: FakeClock;
  let asked: Asked[];
  let answers: (asked: Asked) => Answer | undefined | Promise<Answer | undefined>;
  let sendFile: SendFile;
  let sockets: Sockets;
  let views: FirmwareView[];
  let visible: boolean;
  let api: Api;
  let page: FirmwarePage;

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
  const rollout = (part: object = {}) => rolloutWire(clock.now(), part);
  const usual = ({ path, method }: Asked): Answer => {
    if (path === 'api/token/') return { body: { access: 'good', refresh: 'r' } };
    if (path === 'api/ws-ticket') return { body: { ticket: 't' } };
    if (path.startsWith('firmware/rollouts?')) return page1([rollout()]);
    if (path.startsWith('firmware/images?')) return page1([imageWire(clock.now())]);
    if (path === 'firmware/rollouts/r-1') return { body: { ...rollout(), history: [] } };
    if (path.startsWith('firmware/rollouts/r-1/deployments')) {
      return page1([1, 2, 3].map((number) => deploymentWire(clock.now(), number)));
    }
    if (path.startsWith('firmware/deployments/')) {
      return { body: { ...deploymentWire(clock.now(), 2), history: [] } };
    }
    if (path.startsWith('stores?')) return page1([{ store_id: STORE }]);
    if (path.startsWith('stores/')) {
      const controllers = [2, 1].map((number) => ({
        ...{ controller_id: controllerOf(number), online: number === 1, last_seen: '', machines: [] },
      }));
      return { body: { store_id: STORE, controllers } };
    }
    if (method === 'POST') return { body: rollout({ state: 'PAUSED', reason: 'paused by a person' }) };
    return { status: 404, body: { error: { code: 'not_found', message: path } } };
  };
  const socket = () => sockets.open.get('r-1') ?? sockets.open.get('r-1?ticket=t');
  let seq = 0;
  const say = (type: string, data: object) => {
    seq += 1;
    socket()?.say({ type, seq, data });
  };

  const open = async ({ login = false } = {}) => {
    api = apiOf(
      (one) => {
        asked.push(one);
        return answers(one);
      },
      (...parameters) => sendFile(...parameters),
    );
    if (login) await api.login('ann', 'secret');
    page = new FirmwarePage({
      api,
      clock,
      openFeed: (rolloutId, handlers) =>
        new LiveFeed({
          url: `ws://gateway/realtime/firmware/${rolloutId}`,
          clock,
          connect: (url) => sockets.connect(url),
          ticket: () => api.ticket(),
          random: () => 0.5,
          ...handlers,
        }),
      show: (next) => views.push(next),
      visible: () => visible,
    });
    await pass(100);
  };
  const openRollout = async () => {
    await open();
    page.open('r-1');
    await pass(100);
    seq = 0;
    say('snapshot', rollout());
    await pass(100);
  };

  beforeEach(() => {
    clock = fakeClock();
    asked = [];
    answers = usual;
    sendFile = () => Promise.reject(new Error('not in this test'));
    sockets = new Sockets();
    views = [];
    visible = true;
  });
  afterEach(() => {
    page.close();
    assert.equal(clock.timers, 0, 'a closed page leaves no timer behind');
    assert.equal(sockets.open.size, 0, 'a closed page leaves no connection behind');
  });

  it('shows rollouts and images without a login where reading is open, and keeps them fresh', async () => {
    await open();
    assert.equal(view().phase, 'ready');
    assert.deepEqual(
      view().rollouts.map(({ title, progress }) => [title, progress]),
      [['Rollout of 1.1.0', '1 of 10']],
    );
    assert.deepEqual(view().versions, ['1.1.0']);
    answers = (one) =>
      one.path.startsWith('firmware/rollouts?')
        ? page1([rollout({ state: 'WAITING_APPROVAL' })])
        : usual(one);
    await pass(3000);
    assert.equal(view().attention.length, 1);
  });

  it('begins with the login form where reading wants a login', async () => {
    answers = (one) => (one.token === undefined && one.path !== 'api/token/' ? UNAUTHENTICATED : usual(one));
    await open();
    assert.equal(view().phase, 'login');
    await page.login('ann', 'secret');
    await pass(100);
    assert.equal(view().phase, 'ready');
  });

  it('says what is missing while there is no rollout', async () => {
    answers = (one) =>
      one.path.startsWith('firmware/') ? page1([]) : one.path.startsWith('stores?') ? page1([]) : usual(one);
    await open();
    assert.deepEqual(view().missing, { images: true, controllers: true });
  });

  it('asks for nothing while nobody sees the page', async () => {
    await open();
    visible = false;
    asked.length = 0;
    await pass(60_000);
    assert.deepEqual(asked, []);
  });

  it('follows the opened rollout live: its counts, and each controller', async () => {
    await openRollout();
    assert.equal(opened().targets.rows.length, 3);
    assert.equal(opened().targets.rows.at(1).word, 'Planned');
    say('deployment', deploymentWire(clock.now(), 2, { state: 'FAILED', errors: ['no room'] }));
    say('rollout', rollout({ stages: [stageWire(3, { SCHEDULED: 2, FAILED: 1 })] }));
    await pass(100);
    assert.deepEqual(
      [opened().targets.rows.at(1).word, opened().targets.rows.at(1).note],
      ['Failed', 'no room'],
    );
    assert.deepEqual(
      opened().stages[0]?.counts.map(({ word, count }) => [word, count]),
      [
        ['Planned', 2],
        ['Failed', 1],
      ],
    );
  });

  it('takes the next page of controllers when somebody scrolls there, once', async () => {
    const pages = [page1([deploymentWire(0, 1)], 'c1'), page1([deploymentWire(0, 2)])];
    answers = (one) =>
      one.path.includes('/deployments?')
        ? one.path.includes('cursor=c1')
          ? pages[1]
          : pages[0]
        : usual(one);
    await openRollout();
    assert.equal(opened().targets.state, 'more');
    page.moreTargets();
    page.moreTargets();
    await pass(100);
    assert.deepEqual([opened().targets.rows.length, opened().targets.state], [2, 'whole']);
    assert.equal(asked.filter(({ path }) => path.includes('cursor=c1')).length, 1);
  });

  it('filters by the gateway, and looks again for what has come into the filter or left it', async () => {
    await openRollout();
    answers = (one) =>
      one.path.includes('state=FAILED') ? page1([deploymentWire(0, 7, { state: 'FAILED' })]) : usual(one);
    page.filter({ state: 'FAILED', stage: 0 });
    await pass(100);
    assert.equal(opened().targets.rows.length, 1);
    const before = asked.filter(({ path }) => path.includes('state=FAILED&stage=0')).length;
    assert.equal(before, 1);
    for (let number = 20; number < 40; number += 1) {
      say('deployment', deploymentWire(clock.now(), number, { state: 'FAILED' }));
    }
    await pass(2000);
    assert.equal(asked.filter(({ path }) => path.includes('state=FAILED')).length, 2);
  });

  it('keeps both filters where the second is set before the first is seen', async () => {
    await openRollout();
    page.filter({ state: 'FAILED' });
    page.filter({ stage: 1 });
    await pass(100);
    assert.deepEqual(opened().targets.filter, { state: 'FAILED', stage: 1 });
    assert.ok(asked.some(({ path }) => path.includes('state=FAILED&stage=1')));
  });

  it('keeps what the feed said while a page was on its way', async () => {
    let answer: (given: Answer) => void = () => {};
    answers = (one) =>
      one.path.includes('state=SENT')
        ? new Promise<Answer>((resolve) => {
            answer = resolve;
          })
        : usual(one);
    await openRollout();
    page.filter({ state: 'SENT', stage: undefined });
    await settled();
    say('deployment', deploymentWire(clock.now(), 1, { state: 'COMPLETED' }));
    answer(page1([deploymentWire(0, 1, { state: 'SENT' })]));
    await pass(100);
    assert.equal(opened().targets.rows.at(0).word, 'Completed');
  });

  it('opens a controller’s timeline, and keeps it fresh', async () => {
    await openRollout();
    page.openTarget('d-2');
    await pass(100);
    assert.equal(opened().timeline?.word, 'Planned');
    answers = (one) =>
      one.path === 'firmware/deployments/d-2'
        ? { body: { ...deploymentWire(0, 2, { state: 'SENT' }), history: [] } }
        : usual(one);
    say('deployment', deploymentWire(clock.now(), 2, { state: 'SENT' }));
    await pass(1000);
    await pass(100);
    assert.equal(opened().timeline?.word, 'Asked');
    page.openTarget(undefined);
    await pass(100);
    assert.equal(opened().timeline, undefined);
  });

  it('shows at once that a button was pressed, then what became of it', async () => {
    let answer: (given: Answer) => void = () => {};
    await openRollout();
    answers = (one) =>
      one.method === 'POST'
        ? new Promise<Answer>((resolve) => {
            answer = resolve;
          })
        : usual(one);
    const pressed = page.act('r-1', 'pause');
    await pass(100);
    assert.deepEqual([opened().busy, opened().press?.text], [true, 'Pausing …']);
    answer({ body: { ...rollout({ state: 'PAUSED', reason: 'paused by a person' }), history: [] } });
    await pressed;
    await pass(100);
    assert.match(opened().press?.text ?? '', /^Paused at /);
    assert.equal(opened().word, 'Paused');
  });

  it('says why a press was refused', async () => {
    await openRollout();
    answers = (one) =>
      one.method === 'POST'
        ? { status: 409, body: { error: { code: 'conflict', message: 'the rollout is COMPLETED already' } } }
        : usual(one);
    await page.act('r-1', 'cancel');
    await pass(100);
    assert.deepEqual(
      [opened().press?.look, opened().press?.text],
      ['failed', 'the rollout is COMPLETED already'],
    );
    answers = (one) =>
      one.method === 'POST'
        ? { status: 403, body: { error: { code: 'forbidden', message: 'x' } } }
        : usual(one);
    await page.act('r-1', 'cancel');
    await pass(100);
    assert.equal(opened().press?.text, 'This login may not change these controllers.');
  });

  it('asks for a login where a press wants one, and then does what was pressed', async () => {
    await openRollout();
    answers = (one) =>
      one.method === 'POST' && one.token === undefined && one.path !== 'api/token/'
        ? UNAUTHENTICATED
        : usual(one);
    await page.act('r-1', 'pause');
    await pass(100);
    assert.equal(view().login?.purpose, 'change');
    assert.equal(view().phase, 'ready');
    await page.login('ann', 'secret');
    await pass(100);
    assert.equal(view().login, undefined);
    assert.match(opened().press?.text ?? '', /^Paused at /);
    assert.equal(view().username, 'ann');
  });

  it('does nothing where that login is given up', async () => {
    await openRollout();
    answers = (one) =>
      one.path.endsWith('/pause') && one.token === undefined ? UNAUTHENTICATED : usual(one);
    await page.act('r-1', 'pause');
    page.cancelLogin();
    asked.length = 0;
    await page.login('ann', 'secret');
    assert.ok(!asked.some(({ path }) => path.endsWith('/pause')));
  });

  it('cancels and retries one controller alone', async () => {
    await openRollout();
    page.openTarget('d-2');
    await page.actOnTarget('d-2', 'cancel');
    await page.actOnTarget('d-2', 'retry');
    await pass(100);
    const posts = asked.filter(({ method, path }) => method === 'POST' && path.startsWith('firmware'));
    assert.deepEqual(
      posts.map(({ path, body }) => [path, body]),
      [
        ['firmware/deployments/d-2/cancel', undefined],
        ['firmware/rollouts/r-1/retry', { deployment_ids: ['d-2'] }],
      ],
    );
  });

  describe('with a new rollout', () => {
    const checked = () => checkDraft(newDraft('i-1'), [`${STORE}/${controllerOf(1)}`]);

    it('offers all controllers of the stores, and says who is offline', async () => {
      await open();
      page.openNew();
      await pass(100);
      assert.deepEqual(
        view().fleet?.[0]?.controllers.map(({ controllerId, online }) => [controllerId, online]),
        [
          [controllerOf(1), true],
          [controllerOf(2), false],
        ],
      );
    });

    it('opens it when it is made', async () => {
      await open();
      page.openNew();
      answers = (one) => (one.path === 'firmware/rollouts' ? { status: 201, body: rollout() } : usual(one));
      await page.create(checked(), true);
      await pass(100);
      assert.equal(view().place, 'rollout');
      const sent = asked.find(({ path }) => path === 'firmware/rollouts')?.body as { start: boolean };
      assert.equal(sent.start, true);
    });

    it('shows a refusal at its field', async () => {
      await open();
      page.openNew();
      const error = {
        code: 'invalid_input',
        message: '/image_id: there is no image',
        details: { pointer: '/image_id' },
      };
      answers = (one) => (one.path === 'firmware/rollouts' ? { status: 400, body: { error } } : usual(one));
      await page.create(checked(), false);
      await pass(100);
      assert.deepEqual(view().creating.problems, { imageId: '/image_id: there is no image' });
    });

    it('warns that it may be there all the same where no answer came', async () => {
      await open();
      page.openNew();
      answers = (one) => (one.path === 'firmware/rollouts' ? undefined : usual(one));
      await page.create(checked(), true);
      await pass(100);
      assert.match(view().creating.message, /may have taken it all the same/);
    });
  });

  describe('with an image', () => {
    const file = new Blob(['x'.repeat(1000)]);

    it('tells while it is uploaded how far it is, and shows it afterwards', async () => {
      await open({ login: true });
      let finish: () => void = () => {};
      let headers: Readonly<Record<string, string>> = {};
      sendFile = (url, given, _file, { onProgress }) => {
        assert.equal(url, 'http://gateway/firmware/images?version=1.2.0%2B7');
        headers = given;
        onProgress(500);
        return new Promise((resolve) => {
          const image = imageWire(clock.now(), { id: 'i-2', version: '1.2.0+7' });
          finish = () => resolve({ status: 201, text: JSON.stringify(image) });
        });
      };
      const uploading = page.upload(file, '1.2.0+7');
      await pass(100);
      assert.deepEqual([view().upload?.percent, view().upload?.look], [50, 'open']);
      assert.equal(headers['authorization'], 'Bearer good');
      finish();
      await uploading;
      await pass(100);
      assert.equal(view().upload?.text, 'Version 1.2.0+7 is stored: 256 KiB.');
      assert.deepEqual(view().versions, ['1.2.0+7', '1.1.0']);
    });

    it('asks for a login before a file is sent for nothing', async () => {
      await open();
      sendFile = async () => ({
        status: 201,
        text: JSON.stringify(imageWire(0, { id: 'i-2', version: '2' })),
      });
      await page.upload(file, '2');
      await pass(100);
      assert.equal(view().login?.purpose, 'change');
      await page.login('ann', 'secret');
      await pass(100);
      assert.equal(view().upload?.look, 'completed');
    });

    it('says in words why it was not stored', async () => {
      await open({ login: true });
      const refused =
        (status: number, code: string, message: string): SendFile =>
        async () => ({
          status,
          text: JSON.stringify({ error: { code, message } }),
        });
      for (const [answer, expected] of [
        [refused(409, 'conflict', 'version 2 is there already'), /is there already/],
        [refused(403, 'forbidden', 'no'), /Only an administrator/],
        [refused(413, 'payload_too_large', 'the image is too large'), /too large/],
        [() => Promise.reject(new Error('error')), /does not answer/],
      ] as [SendFile, RegExp][]) {
        sendFile = answer;
        await page.upload(file, '2');
        await pass(100);
        assert.equal(view().upload?.look, 'failed');
        assert.match(view().upload?.text ?? '', expected);
      }
    });

    it('can be broken off', async () => {
      await open({ login: true });
      sendFile = (_url, _headers, _file, { signal }) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('abort'))));
      const uploading = page.upload(file, '2');
      await settled();
      page.breakUploadOff();
      await uploading;
      await pass(100);
      assert.equal(view().upload?.text, 'Broken off: nothing was stored.');
    });

    it('is removed, or says why not', async () => {
      await open({ login: true });
      answers = (one) =>
        one.method === 'DELETE'
          ? { status: 409, body: { error: { code: 'conflict', message: 'image i-1 is in use' } } }
          : usual(one);
      await page.removeImage('i-1');
      await pass(100);
      assert.equal(view().images[0]?.error, 'image i-1 is in use');
    });
  });

  it('says that it is disconnected, and tries again', async () => {
    await openRollout();
    answers = () => undefined;
    await pass(3000);
    await pass(31_000);
    assert.equal(view().connection.look, 'disconnected');
    answers = usual;
    await pass(2000);
    await pass(100);
    seq = 0;
    say('snapshot', rollout());
    await pass(2000);
    assert.equal(view().connection.look, 'live');
  });

  it('keeps nothing for somebody else who logs in, and takes no answer to the one before', async () => {
    let authorized = false;
    let release: ((answer: Answer) => void) | undefined;
    answers = (one) => {
      if (one.path === 'api/token/') return usual(one);
      if (one.path === 'api/token/refresh/') return { status: 401, body: {} };
      return authorized ? usual(one) : { status: 401, body: {} };
    };
    await open({ login: true });
    await pass(100);
    assert.equal(view().phase, 'login');
    authorized = true;
    await page.login('ann', 'secret');
    await pass(100);
    assert.equal(view().rollouts.length, 1);
    answers = (one) =>
      one.path.startsWith('firmware/rollouts?')
        ? new Promise<Answer>((resolve) => {
            release = resolve;
          })
        : usual(one);
    page.returned();
    await settled();
    await page.login('bob', 'secret');
    release?.(page1([rollout()]));
    await pass(100);
    assert.deepEqual([view().username, view().rollouts], ['bob', []]);
  });

  it('forgets what a login saw when it ends', async () => {
    await open({ login: true });
    page.logout();
    assert.equal(api.loggedIn, false);
    await pass(100);
    assert.equal(view().username, '');
  });
});
