import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { parseStatus, parseTelemetry } from '../../lib/solar/codec.js';

interface Sent {
  topic?: string;
  payload?: Record<string, unknown>;
  action?: string;
}

const NOON = new Date(2026, 5, 21, 12).getTime();
const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** The function as its node runs it, with a clock and chances of the test. */
async function fleet(machines: object[], { at = NOON, past = '', chance = 0.5 } = {}) {
  const code = await readFile('flows/functions/simulate-solar.js', 'utf8');
  const names = ['msg', 'context', 'node', 'env', 'Date', 'Math'];
  const run = new Function(...names, code) as (...values: unknown[]) => void;
  const kept = new Map<string, unknown>();
  let now = at;
  let sent: (Sent[] | null)[] = [];
  class Clock extends Date {
    static override now = () => now;
  }
  const chances = Object.create(Math, { random: { value: () => chance } });
  const take = (msg: object) => {
    const context = {
      get: (key: string) => kept.get(key),
      set: (key: string, to: unknown) => kept.set(key, to),
    };
    const node = {
      status() {},
      send: (outputs: (Sent[] | null)[]) => {
        sent = outputs;
      },
    };
    sent = [];
    run(msg, context, node, { get: () => past }, Clock, chances);
    return sent;
  };
  const company = 'c';
  return {
    connected: (name: string, is = true) =>
      take({ status: { fill: is ? 'green' : 'red', source: { name } } }),
    command: (name: string, payload: object) =>
      take({ topic: `company/${company}/machine/${name}/command`, payload }),
    /** @returns what each output sent in all of it */
    pass(ms: number) {
      const all: Sent[][] = [...machines, {}].map(() => []);
      for (const end = now + ms; now < end; ) {
        now += SECOND;
        for (const [index, messages] of take({ payload: { company, machines } }).entries()) {
          all[index]?.push(...(messages ?? []));
        }
      }
      return all;
    },
  };
}

const of = (kind: string, messages: readonly Sent[] = []) =>
  messages.filter(({ topic }) => topic?.endsWith(`/${kind}`)).map(({ payload }) => payload ?? {});
const actions = (messages: readonly Sent[] = []) => messages.flatMap(({ action }) => action ?? []);

describe('simulated solar machines', () => {
  it('say what the protocol says, each on its own topics, once they are connected', async () => {
    const { pass, connected } = await fleet([{ id: 'A' }, { id: 'B' }]);
    assert.deepEqual(pass(5 * SECOND), [[], [], []]);
    connected('A');
    const [a = [], b = []] = pass(30 * SECOND);
    assert.deepEqual(b, []);
    assert.deepEqual([...new Set(a.map(({ topic }) => topic))].sort(), [
      'company/c/machine/A/status',
      'company/c/machine/A/telemetry',
    ]);
    assert.equal(of('telemetry', a).length, 3);
    for (const { topic, payload } of a) {
      const bytes = Buffer.from(JSON.stringify(payload));
      if (topic?.endsWith('telemetry')) parseTelemetry(bytes, NOON, NOON, 0);
      else parseStatus(bytes, NOON);
    }
  });

  it('are charged by day and not by night', async () => {
    const amperes = async (at: number) => {
      const { pass, connected } = await fleet([{ id: 'A' }], { at });
      pass(SECOND);
      connected('A');
      return of('telemetry', pass(20 * SECOND)[0]).map(({ solar_a }) => solar_a as number);
    };
    assert.ok((await amperes(NOON)).every((value) => value > 0.5));
    assert.deepEqual(await amperes(NOON + 12 * 60 * MINUTE), [0, 0]);
  });

  it('do what they are told, and say so at once', async () => {
    const { pass, connected, command } = await fleet([{ id: 'A' }]);
    pass(SECOND);
    connected('A');
    assert.equal(of('status', pass(2 * SECOND)[0])[0]?.['status'], 'Idle');
    command('A', { command: 'start_cleaning', params: { speed: 9, mode: 'spot' } });
    const [started] = of('status', pass(SECOND)[0]);
    assert.deepEqual([started?.['status'], started?.['speed'], started?.['mode']], ['Running', 9, 'spot']);
    const later = of('status', pass(MINUTE)[0]).at(-1);
    for (const figure of ['area', 'water', 'energy']) {
      assert.ok((later?.[figure] as number) > (started?.[figure] as number), figure);
    }
    command('A', { command: 'stop' });
    assert.equal(of('status', pass(SECOND)[0])[0]?.['status'], 'Idle');
    command('A', { command: 'fly' });
    assert.deepEqual(of('status', pass(SECOND)[0]), []);
  });

  it('run and rest by turns of their own', async () => {
    const { pass, connected } = await fleet([{ id: 'A' }]);
    connected('A');
    const statuses = of('status', pass(10 * MINUTE)[0]).map(({ status }) => status);
    assert.ok(statuses.includes('Running') && statuses.includes('Idle'), String(statuses));
  });

  it('die without a word, and come back after minutes', async () => {
    const { pass, connected } = await fleet([{ id: 'A', dies: true }]);
    pass(SECOND);
    connected('A');
    const [before = [], thief = []] = pass(106 * SECOND);
    assert.deepEqual(actions(thief), ['connect', 'disconnect']);
    assert.deepEqual(actions(before), ['disconnect']);
    assert.ok(
      of('status', before).every(({ status }) => status !== 'offline'),
      'the broker says that',
    );
    connected('A', false);
    const [away = [], nobody = []] = pass(2 * MINUTE);
    assert.deepEqual([away, nobody], [[], []]);
    assert.deepEqual(actions(pass(MINUTE)[0]), ['connect']);
    connected('A');
    assert.equal(of('status', pass(SECOND)[0]).length, 1);
  });

  it('storm: eight times away and back within seconds, then calm for minutes', async () => {
    const { pass, connected } = await fleet([{ id: 'A', storms: true }]);
    pass(SECOND);
    connected('A');
    let [cuts, back] = [0, 0];
    for (let second = 0; second < 170; second += 1) {
      const [own = [], thief = []] = pass(SECOND);
      const did = actions(own);
      if (actions(thief).includes('connect')) cuts += 1;
      if (did.includes('disconnect')) connected('A', false);
      if (did.includes('connect')) {
        back += 1;
        connected('A');
      }
    }
    assert.deepEqual([cuts, back], [8, 8]);
    assert.deepEqual(actions(pass(4 * MINUTE)[1]), []);
  });

  it('hang: silent for longer than three of their intervals, connected all the time', async () => {
    const { pass, connected } = await fleet([{ id: 'A', hangs: true }]);
    pass(SECOND);
    connected('A');
    pass(106 * SECOND);
    assert.deepEqual(pass(2 * MINUTE), [[], []]);
    assert.ok((pass(2 * MINUTE)[0] ?? []).length > 5);
  });

  it('tell a month of their past once, at times that are the same at every telling', async () => {
    const tell = async (at: number) => {
      const { pass, connected } = await fleet([{ id: 'A' }], { at, past: '1' });
      pass(SECOND);
      connected('A');
      const told = of('telemetry', pass(4 * MINUTE)[0]).filter(({ timestamp }) => timestamp !== undefined);
      return new Map(told.map((row) => [row['timestamp'] as string, JSON.stringify(row)]));
    };
    const [first, again] = [await tell(NOON), await tell(NOON + 4 * MINUTE)];
    assert.equal(first.size, 144 + 29 * 12);
    const same = [...first].filter(([timestamp, row]) => again.get(timestamp) === row);
    assert.ok(same.length > first.size - 5, `${same.length} of ${first.size}`);
    const oldest = Math.min(...[...first.keys()].map(Date.parse));
    assert.ok(NOON - oldest > 29.5 * 24 * 60 * MINUTE);
  });
});
