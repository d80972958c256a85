import assert from 'node:assert/strict';
import { type Controlled, type Execution, type PondApi, pondApi } from '../support/pond-api.js';
import { cleanUp } from '../support/store.js';

describe('the pond API', () => {
  let api: PondApi;
  beforeEach(async () => {
    api = await pondApi();
  });
  afterEach(cleanUp);

  const feedPath = '/automation/ponds/1/control/feed/';
  const waterPath = '/automation/ponds/1/control/water/';
  const feed = (body: unknown = { amount: 100 }, headers: Record<string, string> = {}, as = 'ann') =>
    api.ask('POST', feedPath, { as, body, headers });
  const execution = async (id: number) =>
    (await api.ask('GET', `/automation/executions/${id}/`, { as: 'ann' })).body as Execution;
  const submitted = () => api.dispatcher.submitted;

  describe('refuses', () => {
    it('who has no token, also where reading is open: 401 in the words of the document', async () => {
      for (const [method, path] of everyPath()) {
        const answer = await api.ask(method, path);
        assert.equal(answer.status, 401, path);
        assert.deepEqual(answer.body, { detail: 'Authentication credentials were not provided.' });
        assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
      }
    });

    it('a token that is none: 401 as SimpleJWT says it', async () => {
      const answer = await feed({}, {}, 'x.y.z');
      assert.equal(answer.status, 401);
      assert.deepEqual(answer.body, {
        detail: 'Given token not valid for any token type',
        code: 'token_not_valid',
        messages: [
          { token_class: 'AccessToken', token_type: 'access', message: 'Token is invalid or expired' },
        ],
      });
    });

    it('another owner on every path: 403, and nothing is told of the pond', async () => {
      await feed();
      await api.putAlert(alert());
      await api.putReading(1, Date.UTC(2025, 7, 30), { temperature: 25 });
      for (const [method, path] of everyPath().filter(([, path]) => path !== '/automation/ponds/')) {
        const answer = await api.ask(method, path, { as: 'bob' });
        assert.equal(answer.status, 403, path);
        assert.deepEqual(answer.body, { success: false, error: 'Access denied' });
      }
      const { items } = (await api.ask('GET', '/automation/ponds/', { as: 'bob' })).body as {
        items: { pond_id: number }[];
      };
      assert.deepEqual(
        items.map(({ pond_id }) => pond_id),
        [2],
      );
      assert.equal(submitted().length, 1);
    });

    it('what is not there: 404', async () => {
      for (const [method, path, error] of [
        ['POST', '/automation/ponds/99/control/feed/', 'Pond not found'],
        ['POST', '/automation/ponds/x/control/feed/', 'Pond not found'],
        ['POST', '/automation/ponds/01/control/feed/', 'Pond not found'],
        ['POST', '/automation/ponds/1e0/control/water/', 'Pond not found'],
        ['GET', '/automation/ponds/99999999999999999999/', 'Pond not found'],
        ['GET', '/automation/ponds/0/readings/', 'Pond not found'],
        ['GET', '/automation/executions/7/', 'Execution not found'],
        ['POST', '/automation/executions/7/cancel/', 'Execution not found'],
        ['POST', '/automation/alerts/none/acknowledge/', 'Alert not found'],
      ] as const) {
        const answer = await api.ask(method, path, { as: 'ann' });
        assert.deepEqual([answer.status, answer.body], [404, { success: false, error }], path);
      }
    });

    it('another method, and a path that is no path, in the same form', async () => {
      const get = await api.ask('GET', feedPath, { as: 'ann' });
      assert.equal(get.status, 405);
      assert.equal(get.headers.get('allow'), 'POST');
      const broken = await api.ask('GET', '/automation/ponds/%E0%A4%A/', { as: 'ann' });
      assert.equal(broken.status, 400);
      for (const { body } of [get, broken]) assert.equal((body as { success: boolean }).success, false);
    });

    it('a failure of our own with nothing of the inside', async () => {
      api.dispatcher.submit = async () => {
        throw new Error('the secret reason');
      };
      const answer = await feed();
      assert.equal(answer.status, 500);
      assert.equal((answer.body as { success: boolean }).success, false);
      assert.ok(!JSON.stringify(answer.body).includes('secret'));
      assert.match(api.errors.join(), /secret reason/);
    });

    it('and tells a flow who asked for what, and why not', async () => {
      await feed({ amount: 0 });
      await api.ask('GET', '/automation/ponds/1/');
      assert.deepEqual(
        api.refused.map(({ request, answer }) => [request.path, request.principal?.username, answer.status]),
        [
          [feedPath, 'ann', 400],
          ['/automation/ponds/1/', undefined, 401],
        ],
      );
    });
  });

  describe('shows', () => {
    it('a pond with its device, its newest readings and open alerts', async () => {
      const at = Date.UTC(2025, 7, 30, 0, 59);
      await api.putReading(1, at, { temperature: 25.5 });
      await api.putReading(null, at + 1000, { ph: 7.1 });
      await api.putReading(2, at + 2000, { temperature: 99 });
      await api.putAlert(alert());
      await api.putAlert(alert({ alertId: 'cleared', clearedAt: at }));
      const answer = await api.ask('GET', '/automation/ponds/1/', { as: 'ann' });
      assert.deepEqual(answer.body, {
        pond_id: 1,
        name: 'Test Pond',
        device_id: 'AA:BB:CC:DD:EE:FF',
        position: 1,
        feed_limit_g: 10_000,
        thresholds: { temperature: { min: 18, max: 30 } },
        device: { online: true, last_seen: '2025-08-30T01:00:00.000Z', firmware_version: '1.2.0' },
        readings: {
          temperature: { value: 25.5, at: '2025-08-30T00:59:00.000Z' },
          ph: { value: 7.1, at: '2025-08-30T00:59:01.000Z' },
        },
        alerts: [shownAlert],
      });
      const list = await api.ask('GET', '/automation/ponds/', { as: 'ann' });
      assert.deepEqual(list.body, { items: [answer.body], next_cursor: null });
    });

    it('all ponds to an administrator, page by page', async () => {
      const ids: number[] = [];
      let cursor: string | null = '';
      while (cursor !== null) {
        const path: string = `/automation/ponds/?limit=1${cursor && `&cursor=${cursor}`}`;
        const page = (await api.ask('GET', path, { as: 'root' })).body as {
          items: { pond_id: number }[];
          next_cursor: string | null;
        };
        ids.push(...page.items.map(({ pond_id }) => pond_id));
        cursor = page.next_cursor;
      }
      assert.deepEqual(ids, [2, 1]);
    });

    it('a device of which nothing was heard', async () => {
      const { body } = await api.ask('GET', '/automation/ponds/1/', { as: 'ann' });
      const { device, readings, alerts } = body as Record<string, unknown>;
      assert.deepEqual(device, { online: false, last_seen: null, firmware_version: null });
      assert.deepEqual([readings, alerts], [{}, []]);
    });

    it('executions with their history, newest first, page by page', async () => {
      for (const amount of [1, 2, 3]) await feed({ amount });
      const pages: Execution[][] = [];
      let cursor: string | null = '';
      while (cursor !== null) {
        const path: string = `/automation/ponds/1/executions/?limit=2${cursor && `&cursor=${cursor}`}`;
        const page = (await api.ask('GET', path, { as: 'ann' })).body as {
          items: Execution[];
          next_cursor: string | null;
        };
        pages.push(page.items);
        cursor = page.next_cursor;
      }
      assert.deepEqual(
        pages.map((page) => page.map(({ execution_id }) => execution_id)),
        [[3, 2], [1]],
      );
      assert.deepEqual(pages[1]?.[0], await execution(1));
      const { command, created_at, ...rest } = await execution(1);
      assert.deepEqual(rest, {
        execution_id: 1,
        pond_id: 1,
        action: 'FEED',
        status: 'EXECUTING',
        parameters: { feed_amount: 1 },
        completed_at: null,
      });
      assert.match(created_at, /Z$/);
      assert.equal(command.status, 'PENDING');
      assert.equal(command.history.length, 1);
    });

    it('readings between two instants, page by page', async () => {
      const at = Date.UTC(2025, 7, 30);
      for (const minute of [0, 1, 2, 3])
        await api.putReading(1, at + minute * 60_000, { temperature: minute });
      await api.putReading(2, at, { temperature: 99 });
      const span = 'from=2025-08-30T00:01:00Z&to=2025-08-30T00:03:00Z';
      const page = (await api.ask('GET', `/automation/ponds/1/readings/?${span}&limit=1`, { as: 'ann' }))
        .body as { items: unknown[]; next_cursor: string };
      assert.deepEqual(page.items, [
        {
          received_at: '2025-08-30T00:02:00.001Z',
          at: '2025-08-30T00:02:00.000Z',
          pond_position: 1,
          values: { temperature: 2 },
        },
      ]);
      const next = (
        await api.ask('GET', `/automation/ponds/1/readings/?${span}&cursor=${page.next_cursor}`, {
          as: 'ann',
        })
      ).body as { items: { values: object }[]; next_cursor: null };
      assert.deepEqual(
        [next.items.map(({ values }) => values), next.next_cursor],
        [[{ temperature: 1 }], null],
      );
    });

    it('alerts, and lets their owner acknowledge one', async () => {
      await api.putAlert(alert());
      await api.putAlert(alert({ alertId: 'cleared', clearedAt: Date.UTC(2025, 7, 31) }));
      const ids = async (query: string) => {
        const { body } = await api.ask('GET', `/automation/ponds/1/alerts/${query}`, { as: 'ann' });
        return (body as { items: { alert_id: string }[] }).items.map(({ alert_id }) => alert_id).sort();
      };
      assert.deepEqual(await ids(''), ['cleared', 'hot']);
      assert.deepEqual(await ids('?open=true'), ['hot']);
      const answer = await api.ask('POST', '/automation/alerts/hot/acknowledge/', { as: 'ann' });
      const { success, data } = answer.body as { success: boolean; data: Record<string, unknown> };
      assert.deepEqual([answer.status, success, data['acknowledged_by']], [200, true, 'ann']);
    });

    it('what is wrong with a query', async () => {
      for (const path of [
        'ponds/?limit=0',
        'ponds/?cursor=x',
        'ponds/1/executions/?limit=1001',
        'ponds/1/executions/?cursor=x',
        'ponds/1/readings/?from=yesterday',
        'ponds/1/readings/?from=2025-08-31T00:00:00Z&to=2025-08-30T00:00:00Z',
        'ponds/1/alerts/?open=perhaps',
      ]) {
        const answer = await api.ask('GET', `/automation/${path}`, { as: 'ann' });
        assert.equal(answer.status, 400, path);
        assert.equal((answer.body as { success: boolean }).success, false);
      }
    });
  });

  it('cancels what has not ended, once', async () => {
    await feed();
    const answer = await api.ask('POST', '/automation/executions/1/cancel/', { as: 'ann' });
    assert.equal(answer.status, 200);
    const { success, data } = answer.body as { success: boolean; data: Execution };
    assert.deepEqual([success, data.status, data.command.status], [true, 'FAILED', 'CANCELLED']);
    const again = await api.ask('POST', '/automation/executions/1/cancel/', { as: 'ann' });
    assert.deepEqual([again.status, (again.body as Controlled).success], [409, false]);
  });

  it('shows nothing more of a pond that was removed, and never gives its id again', async () => {
    await feed();
    await api.ponds.remove(1);
    for (const path of ['ponds/1/', 'ponds/1/executions/', 'executions/1/']) {
      assert.equal((await api.ask('GET', `/automation/${path}`, { as: 'ann' })).status, 404, path);
    }
    const next = await api.ponds.add({ ...api.pond, ownerId: 2 });
    assert.equal(next.pondId, 3);
  });

  function everyPath(): [string, string][] {
    return [
      ['POST', feedPath],
      ['POST', waterPath],
      ['GET', '/automation/ponds/'],
      ['GET', '/automation/ponds/1/'],
      ['GET', '/automation/ponds/1/executions/'],
      ['GET', '/automation/ponds/1/readings/'],
      ['GET', '/automation/ponds/1/alerts/'],
      ['GET', '/automation/executions/1/'],
      ['POST', '/automation/executions/1/cancel/'],
      ['POST', '/automation/alerts/hot/acknowledge/'],
    ];
  }
});

const RAISED_AT = Date.UTC(2025, 7, 30, 0, 58);
const alert = (values: object = {}) => ({
  alertId: 'hot',
  device: 'AA:BB:CC:DD:EE:FF',
  position: 1,
  parameter: 'temperature',
  value: 31,
  limit: 30,
  severity: 'warning' as const,
  message: 'Too warm',
  raisedAt: RAISED_AT,
  acknowledgedAt: null,
  acknowledgedBy: null,
  clearedAt: null,
  ...values,
});
const shownAlert = {
  alert_id: 'hot',
  parameter: 'temperature',
  value: 31,
  limit: 30,
  severity: 'warning',
  message: 'Too warm',
  raised_at: '2025-08-30T00:58:00.000Z',
  acknowledged_at: null,
  acknowledged_by: null,
  cleared_at: null,
};
