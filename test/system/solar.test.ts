import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { WebSocket } from 'ws';
import { eventually } from '../support/gateway.js';
import { checkDescribed, type Method } from '../support/openapi.js';
import { COMMAND, STATUS, TELEMETRY, WILL } from '../support/solar.js';
import { type SolarGateway, solarGateway } from '../support/solar-gateway.js';

interface FeedMessage {
  type: string;
  machine_id: string;
  company_id: string;
  received_at: string;
  seq: number;
  data: Record<string, unknown>;
}

/** A client of a live feed that keeps what it gets. */
class Follower {
  readonly messages: FeedMessage[] = [];
  closed: number | undefined;
  readonly #changed = new EventEmitter();

  constructor(readonly socket: WebSocket) {
    socket.on('message', (data) => {
      this.messages.push(JSON.parse(data.toString()));
      this.#changed.emit('changed');
    });
    socket.on('close', (code) => {
      this.closed = code;
      this.#changed.emit('changed');
    });
    socket.on('error', () => {});
  }

  /** The first message that is wanted. */
  async message(isWanted: (message: FeedMessage) => boolean): Promise<FeedMessage> {
    for (;;) {
      const found = this.messages.find(isWanted);
      if (found !== undefined) return found;
      await once(this.#changed, 'changed');
    }
  }

  async end(): Promise<number> {
    while (this.closed === undefined) await once(this.#changed, 'changed');
    return this.closed;
  }
}

/** Its ids as schemas/openapi.yaml names them. */
function describedPath(path: string): string {
  const parts = (path.split('?')[0] as string).split('/');
  if (parts[2] !== undefined) parts[2] = '{company_id}';
  if (parts[4] !== undefined) parts[4] = '{machine_id}';
  if (parts[5] === 'commands') parts[6] = '{command_id}';
  return parts.join('/');
}

const ALLOWED = JSON.stringify({
  2: { stop: {} },
  '*': { start_cleaning: { type: 'object', properties: { speed: { type: 'number', maximum: 10 } } } },
});

describe('solar machines at a gateway', function () {
  this.timeout(120_000);
  let gateway: SolarGateway;
  let login: IClientOptions;
  const tokens: Record<string, string> = {};
  const open: (MqttClient | WebSocket)[] = [];

  const connected = async (options: IClientOptions) => {
    const client = await connectAsync(gateway.mqttUrl, { reconnectPeriod: 0, ...options });
    open.push(client);
    return client;
  };
  const follow = (path: string, as?: string) => {
    const headers = as === undefined ? {} : { authorization: `Bearer ${tokens[as]}` };
    const socket = new WebSocket(gateway.url.replace('http', 'ws') + path, { headers });
    open.push(socket);
    return new Follower(socket);
  };
  /** Asks, and holds the answer against schemas/openapi.yaml. */
  const ask = async (method: string, path: string, as?: string, body?: unknown) => {
    const answer = await gateway.ask(method, path, {
      ...(as && { as: tokens[as] as string }),
      ...(body !== undefined && { body }),
    });
    if (path.startsWith('/companies')) {
      checkDescribed(describedPath(path), method.toLowerCase() as Method, answer.status, answer.body);
    }
    return answer;
  };
  const logins = new Map<string, Promise<IClientOptions>>();
  const loginOf = (company: string, machine: string): Promise<IClientOptions> => {
    const key = `${company}/${machine}`;
    const known = logins.get(key) ?? gateway.login(company, machine);
    logins.set(key, known);
    return known;
  };
  const publish = async (company: string, machine: string, kind: string, payload: string) => {
    const client = await connected(await loginOf(company, machine));
    await client.publishAsync(`company/${company}/machine/${machine}/${kind}`, payload, { qos: 1 });
    return client;
  };

  before(async () => {
    gateway = await solarGateway({ allowed: ALLOWED });
    await gateway.start();
    for (const name of ['root', 'bob', 'eve', 'dan']) tokens[name] = await gateway.tokenOf(name);
    login = await loginOf('1', 'A');
  });
  afterEach(async () => {
    for (const each of open.splice(0)) {
      if (each instanceof WebSocket) each.terminate();
      else await each.endAsync(true);
    }
  });
  after(() => gateway?.remove());

  it('are what the document says: its messages, its subscriptions, its command and its last will', async () => {
    const service = await gateway.access((access) => access.addClient({ role: 'service' }));
    const backend = await connected(service);
    const heard: [string, string][] = [];
    backend.on('message', (topic, payload) => heard.push([topic, payload.toString()]));
    for (const filter of ['company/+/machine/+/telemetry', 'company/+/machine/+/status']) {
      await backend.subscribeAsync(filter, { qos: 1 });
    }
    const client = await connected({
      ...login,
      clientId: 'A',
      will: { topic: 'company/1/machine/A/status', payload: Buffer.from(WILL), qos: 1, retain: false },
    });
    const [grant] = await client.subscribeAsync('company/1/machine/A/#', { qos: 1 });
    assert.equal(grant?.qos, 1);
    await client.publishAsync('company/1/machine/A/telemetry', TELEMETRY, { qos: 1 });
    await client.publishAsync('company/1/machine/A/status', STATUS, { qos: 1 });

    const history = await ask('GET', '/companies/1/machines/A/telemetry', 'bob');
    const [{ at, received_at, ...values }] = history.body.items;
    assert.equal(at, received_at);
    assert.deepEqual(values, JSON.parse(TELEMETRY));
    const status = await ask('GET', '/companies/1/machines/A/status', 'bob');
    const { energy, water, area } = status.body;
    assert.deepEqual({ status: status.body.status, energy, water, area }, JSON.parse(STATUS));
    const changes = (await ask('GET', '/companies/1/machines/A/status/history', 'bob')).body.items;
    assert.equal(changes[0].status, 'Running');
    const { items } = (await ask('GET', '/companies/1/machines', 'bob')).body;
    assert.equal(items[0].machine_id, 'A');
    assert.deepEqual(items[0].telemetry, history.body.items[0]);

    const follower = follow('/realtime/A', 'bob');
    const first = await follower.message(() => true);
    assert.deepEqual([first.type, first.machine_id, first.company_id], ['snapshot', 'A', '1']);
    assert.deepEqual(first.data['telemetry'] as object, history.body.items[0]);

    const command = JSON.parse(COMMAND);
    const received = new Promise<[string, string]>((resolve) => {
      client.on('message', (topic, payload) => {
        if (topic.endsWith('/command')) resolve([topic, payload.toString()]);
      });
    });
    const answer = await ask('POST', '/companies/1/machines/A/command', 'bob', command);
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
    const [topic, payload] = await received;
    assert.equal(topic, 'company/1/machine/A/command');
    assert.deepEqual(JSON.parse(payload), command, 'no field beside those of the document');

    client.stream.destroy();
    const offline = await follower.message(
      ({ type, data }) => type === 'status' && data['status'] === 'offline',
    );
    assert.deepEqual(
      [offline.data['previous_status'], offline.data['restarted'], offline.data['online']],
      ['Running', false, false],
    );
    assert.equal((await ask('GET', '/companies/1/machines/A/status', 'bob')).body.status, 'offline');
    await eventually(async () => heard.length === 3 || undefined, 'the will at the backend');
    assert.deepEqual(heard, [
      ['company/1/machine/A/telemetry', TELEMETRY],
      ['company/1/machine/A/status', STATUS],
      ['company/1/machine/A/status', WILL],
    ]);
  });

  it('are followed live: each message once its row is there, numbered, for every follower', async () => {
    const client = await publish('1', 'L', 'telemetry', '{"battery":1}');
    const followers = [follow('/realtime/L', 'bob'), follow('/realtime/L', 'root')];
    for (const follower of followers) await follower.message(({ type }) => type === 'snapshot');
    for (let battery = 2; battery < 5; battery += 1) {
      await client.publishAsync('company/1/machine/L/telemetry', JSON.stringify({ battery }), { qos: 1 });
    }
    for (const follower of followers) {
      await follower.message(({ data }) => data['battery'] === 4);
      const told = follower.messages.filter(({ type }) => type === 'telemetry');
      assert.deepEqual(
        told.map(({ data }) => data['battery']),
        [2, 3, 4],
      );
      const seqs = follower.messages.map(({ seq }) => seq);
      assert.deepEqual(
        seqs,
        seqs.map((_, index) => (seqs[0] as number) + index),
      );
      assert.match(told[0]?.received_at ?? '', /Z$/);
    }
  });

  it('answer minutes and hours with min, max, mean and count of every number', async () => {
    const client = await publish('1', 'H', 'telemetry', '{"battery":12,"extra":{"motor":{"rpm":10}}}');
    await client.publishAsync('company/1/machine/H/telemetry', '{"battery":13,"fan":7}', { qos: 1 });
    for (const resolution of ['1m', '1h']) {
      const { body } = await ask('GET', `/companies/1/machines/H/telemetry?resolution=${resolution}`, 'bob');
      const points = body.items as { battery: { count: number } }[];
      assert.equal(
        points.reduce((sum, { battery }) => sum + battery.count, 0),
        2,
      );
      if (points.length > 1) continue; // the minute ended in between
      const { at: _, ...point } = body.items[0];
      assert.deepEqual(point, {
        battery: { min: 12, max: 13, mean: 12.5, count: 2 },
        solar_v: null,
        solar_a: null,
        water: null,
        extra: {
          'motor.rpm': { min: 10, max: 10, mean: 10, count: 1 },
          fan: { min: 7, max: 7, mean: 7, count: 1 },
        },
      });
    }
    assert.equal((await ask('GET', '/companies/1/machines/H/telemetry?resolution=1d', 'bob')).status, 400);
    const none = await ask('GET', '/companies/1/machines/H/telemetry?to=2020-01-01T00:00:00Z', 'bob');
    assert.deepEqual(none.body, { items: [], next_cursor: null });
  });

  it('take the commands of their company alone, with params as they are to be', async () => {
    await publish('1', 'C', 'telemetry', TELEMETRY);
    await publish('2', 'C', 'telemetry', TELEMETRY);
    const send = (company: string, as: string, body: unknown) =>
      ask('POST', `/companies/${company}/machines/C/command`, as, body);
    const unknown = await send('1', 'bob', { command: 'stop' });
    assert.deepEqual([unknown.status, unknown.body.error.details.pointer], [400, '/command']);
    const fast = await send('1', 'bob', { command: 'start_cleaning', params: { speed: 11 } });
    assert.deepEqual([fast.status, fast.body.error.details.pointer], [400, '/params/speed']);
    for (const body of [[], {}, { command: 7 }, { command: 'start_cleaning', params: 3 }]) {
      assert.equal((await send('1', 'bob', body)).status, 400, JSON.stringify(body));
    }
    assert.equal((await send('2', 'eve', { command: 'stop' })).status, 202);
    assert.equal(
      (await ask('POST', '/companies/1/machines/none/command', 'bob', { command: 'x' })).status,
      404,
    );
  });

  it('tell what became of a command to who may see the machine, and to nobody else', async () => {
    await publish('1', 'F', 'telemetry', TELEMETRY);
    const sent = await ask('POST', '/companies/1/machines/F/command', 'bob', { command: 'start_cleaning' });
    const path = `commands/${sent.body.command_id}`;
    const { body } = await gateway.ask('GET', `/companies/1/machines/F/${path}`, {
      as: tokens['bob'] as string,
      headers: { prefer: 'wait=5' },
    });
    assert.deepEqual([body.status, body.command, body.machine_id], ['COMPLETED', 'start_cleaning', 'F']);
    assert.deepEqual((await ask('GET', `/companies/1/machines/F/${path}`, 'bob')).body, body);
    await publish('1', 'G', 'telemetry', TELEMETRY);
    const none = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';
    for (const other of [`F/commands/${none}`, 'F/commands/x', `G/${path}`]) {
      assert.equal((await ask('GET', `/companies/1/machines/${other}`, 'bob')).status, 404, other);
    }
    assert.equal((await ask('GET', `/companies/1/machines/F/${path}`, 'eve')).status, 403);
  });

  it('are offered with the commands of their company and the schemas of their params', async () => {
    const others = JSON.parse(ALLOWED)['*'].start_cleaning;
    assert.deepEqual((await ask('GET', '/companies/1/commands', 'bob')).body, {
      any: false,
      items: [{ command: 'start_cleaning', params: others }],
      next_cursor: null,
    });
    const { body } = await ask('GET', '/companies/2/commands', 'eve');
    assert.deepEqual(body.items, [{ command: 'stop', params: {} }]);
    assert.equal((await ask('GET', '/companies/2/commands', 'bob')).status, 403);
  });

  it('are listed by company, each user’s own alone', async () => {
    await publish('1', 'N', 'telemetry', TELEMETRY);
    await publish('2', 'N', 'telemetry', TELEMETRY);
    const companies = async (as?: string) =>
      ((await ask('GET', '/companies', as)).body.items as { company_id: string }[])?.map(
        ({ company_id }) => company_id,
      );
    assert.deepEqual(await companies('root'), ['1', '2']);
    assert.deepEqual(await companies('eve'), ['2']);
    assert.equal((await ask('GET', '/companies')).status, 401);
  });

  describe('of a whole company, on one connection', () => {
    const ofCompany = (company: string, as?: string) => follow(`/realtime/companies/${company}`, as);

    it('are told first as REST lists them, then message by message, numbered, with the machine’s id', async () => {
      const client = await publish('1', 'P', 'telemetry', TELEMETRY);
      const other = await publish('1', 'Q', 'telemetry', TELEMETRY);
      const follower = ofCompany('1', 'bob');
      const first = await follower.message(() => true);
      assert.deepEqual([first.type, first.company_id, first.machine_id], ['snapshot', '1', undefined]);
      const listed = await gateway.list<{ machine_id: string }>('/companies/1/machines', tokens['bob']);
      assert.deepEqual(first.data['machines'], listed);

      await client.publishAsync('company/1/machine/P/telemetry', '{"battery":7}', { qos: 1 });
      await other.publishAsync('company/1/machine/Q/status', STATUS, { qos: 1 });
      const status = await follower.message(
        ({ type, machine_id }) => type === 'status' && machine_id === 'Q',
      );
      assert.deepEqual([status.data['status'], status.data['machine_id']], ['Running', 'Q']);
      const told = await follower.message(({ type }) => type === 'telemetry');
      assert.deepEqual([told.machine_id, told.company_id, told.data['battery']], ['P', '1', 7]);
      const seqs = follower.messages.map(({ seq }) => seq);
      assert.deepEqual(
        seqs,
        seqs.map((_, index) => (seqs[0] as number) + index),
      );
    });

    it('begin with a company that has none yet: its first machine comes', async () => {
      const follower = ofCompany('new', 'root');
      assert.deepEqual((await follower.message(() => true)).data, { machines: [] });
      await publish('new', 'first', 'telemetry', TELEMETRY);
      await follower.message(({ machine_id }) => machine_id === 'first');
    });

    it('are told to those of the company alone, whether there is one or not', async () => {
      for (const company of ['1', 'none']) assert.equal(await ofCompany(company, 'eve').end(), 4403, company);
      assert.equal(await ofCompany('1%2FP', 'root').end(), 4404);
      const [, response] = await once(ofCompany('1').socket, 'unexpected-response');
      assert.equal((response as { statusCode: number }).statusCode, 401);
      const mine = ofCompany('2', 'eve');
      await mine.message(({ type }) => type === 'snapshot');
      await publish('1', 'R', 'telemetry', '{"battery":11}');
      await publish('2', 'R', 'telemetry', '{"battery":22}');
      await mine.message(({ data }) => data['battery'] === 22);
      assert.deepEqual([...new Set(mine.messages.map(({ company_id }) => company_id))], ['2']);
    });
  });

  describe('of one company, with another company’s token', () => {
    before(async () => {
      // The same machine id in both companies, and one that only the first has.
      await publish('1', 'T', 'telemetry', '{"battery":1}');
      await publish('2', 'T', 'telemetry', '{"battery":2}');
      await publish('1', 'only', 'status', STATUS);
    });

    it('are refused at every path, in the same words whether they exist or not', async () => {
      const tails = [
        ['GET', ''],
        ['GET', '/only/status'],
        ['GET', '/only/commands/6ba7b810-9dad-11d1-80b4-00c04fd430c8'],
        ['GET', '/only/status/history'],
        ['GET', '/only/telemetry'],
        ['GET', '/only/telemetry?resolution=1h'],
        ['POST', '/only/command'],
      ] as const;
      for (const [method, tail] of tails) {
        const body = method === 'POST' ? { command: 'stop' } : undefined;
        const real = await ask(method, `/companies/1/machines${tail}`, 'eve', body);
        assert.equal(real.status, 403, tail);
        for (const other of [
          `/companies/1/machines${tail.replace('only', 'none')}`,
          `/companies/none/machines${tail}`,
        ]) {
          assert.deepEqual(await ask(method, other, 'eve', body), real, other);
        }
        assert.notEqual((await ask(method, `/companies/1/machines${tail}`, 'bob', body)).status, 403, tail);
        assert.equal((await ask(method, `/companies/1/machines${tail}`, undefined, body)).status, 401, tail);
      }
    });

    it('are not followed: a foreign machine is as one that does not exist', async () => {
      for (const path of ['/realtime/only', '/realtime/none']) {
        assert.equal(await follow(path, 'eve').end(), 4404, path);
      }
      for (const path of [
        '/realtime/only?company=1',
        '/realtime/none?company=1',
        '/realtime/y?company=1%2Fx',
      ]) {
        assert.equal(await follow(path, 'eve').end(), 4403, path);
      }
      const unauthenticated = follow('/realtime/only');
      const [, response] = await once(unauthenticated.socket, 'unexpected-response');
      assert.equal((response as { statusCode: number }).statusCode, 401);
    });

    it('are not reached by ids with a slash in them, whoever asks', async () => {
      for (const path of [
        '/realtime/y?company=1%2Fonly',
        '/realtime/1%2Fonly',
        '/realtime/..%2Fonly?company=1',
      ]) {
        assert.equal(await follow(path, 'root').end(), 4404, path);
      }
    });

    it('are told apart where the id is the same: by the token, or by ?company=', async () => {
      const battery = async (path: string, as: string) => {
        const { company_id, data } = await follow(path, as).message(({ type }) => type === 'snapshot');
        return [company_id, (data['telemetry'] as { battery: number }).battery];
      };
      assert.deepEqual(await battery('/realtime/T', 'bob'), ['1', 1]);
      assert.deepEqual(await battery('/realtime/T', 'eve'), ['2', 2]);
      assert.deepEqual(await battery('/realtime/T?company=2', 'dan'), ['2', 2]);
      assert.equal(await follow('/realtime/T', 'dan').end(), 4404);
      assert.equal((await ask('GET', '/companies/2/machines/T/telemetry', 'eve')).body.items[0].battery, 2);
      assert.deepEqual(
        (await ask('GET', '/companies/2/machines?limit=1000', 'eve')).body.items.filter(
          ({ company_id }: { company_id: string }) => company_id !== '2',
        ),
        [],
      );
    });

    it('say nothing of a machine to the followers of the other', async () => {
      const mine = follow('/realtime/T', 'eve');
      await mine.message(({ type }) => type === 'snapshot');
      const client = await publish('1', 'T', 'telemetry', '{"battery":11}');
      await client.publishAsync('company/1/machine/T/status', STATUS, { qos: 1 });
      await publish('2', 'T', 'telemetry', '{"battery":22}');
      await mine.message(({ type, data }) => type === 'telemetry' && data['battery'] === 22);
      assert.deepEqual([...new Set(mine.messages.map(({ company_id }) => company_id))], ['2']);
      assert.ok(mine.messages.every(({ data }) => data['battery'] !== 11));
    });

    it('are out of reach of the other’s login at the broker', async () => {
      const client = await connected(await loginOf('2', 'only'));
      for (const filter of ['company/1/machine/only/#', 'company/+/machine/only/command', 'company/1/#']) {
        const granted = await new Promise((resolve) => {
          client.subscribe(filter, { qos: 1 }, (_error, _grants, suback) => resolve(suback?.granted?.[0]));
        });
        assert.equal(granted, 128, filter);
      }
      await client.publishAsync('company/1/machine/only/telemetry', '{"battery":666}', { qos: 1 });
      const { body } = await ask('GET', '/companies/1/machines/only/telemetry', 'bob');
      assert.deepEqual(body.items, []);
    });

    it('lose their follower when the user loses the company', async () => {
      const followers = [follow('/realtime/T?company=1', 'dan'), follow('/realtime/companies/1', 'dan')];
      for (const follower of followers) await follower.message(({ type }) => type === 'snapshot');
      await gateway.access(async (access) => {
        await access.revokeUser('dan');
      });
      for (const follower of followers) assert.equal(await follower.end(), 4403);
    });
  });

  it('have their refused messages replayed', async () => {
    await publish('1', 'D', 'telemetry', '{"battery":"full"}');
    const letters = await gateway.list<{ id: string; topic: string; pointer: string }>(
      '/dead-letters?protocol=solar',
      tokens['root'],
    );
    const letter = letters.find(({ topic }) => topic === 'company/1/machine/D/telemetry');
    assert.equal(letter?.pointer, '/battery');
    const { status, body } = await ask('POST', `/dead-letters/${letter?.id}/replay`, 'root');
    assert.deepEqual([status < 500, body.error?.code ?? body.code], [true, 'schema_mismatch']);
  });
});
