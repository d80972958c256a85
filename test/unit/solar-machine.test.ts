import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { parseTelemetry } from '../../lib/solar/codec.js';
import { machineTopics, parseCommand, readMeasurement, readReport } from '../../lib/solar/machine-codec.js';
import { createCommandIntake, type IgnoredCommand, toldInMemory } from '../../lib/solar/machine-commands.js';
import type { ToldCommands } from '../../lib/solar/machine-ports.js';
import { MACHINE_TOPICS, solarSite } from '../support/solar-machine.js';

const SECOND = 1000;
const NOW = Date.UTC(2024, 0, 15, 9);

describe("a solar machine's end: telemetry", () => {
  it('is one message an interval, of the newest of each value', async () => {
    const { machine, network, pass } = await solarSite();
    await network.acknowledgeAll();
    await machine.measure({ battery: 13, extra: { temp: 30, fan: 1 } }, false);
    await machine.measure({ battery: 13.5, water: 80, extra: { temp: 31 } }, false);
    await pass(29 * SECOND);
    assert.deepEqual(await network.acknowledgeAll(), []);
    await pass(SECOND);
    const sent = await network.acknowledgeAll();
    assert.deepEqual(
      sent.map(({ kind, retain, message }) => ({ kind, retain, message })),
      [
        {
          kind: 'telemetry',
          retain: false,
          message: {
            ...{ battery: 13.5, water: 80, extra: { temp: 31, fan: 1 } },
            timestamp: '2024-01-15T09:00:30Z',
          },
        },
      ],
    );
  });

  it('does not say again what was not measured again', async () => {
    const { machine, network, pass } = await solarSite();
    await network.acknowledgeAll();
    await machine.measure({ battery: 13, water: 80 }, false);
    await pass(30 * SECOND);
    await network.acknowledgeAll();
    await pass(30 * SECOND);
    assert.deepEqual(await network.acknowledgeAll(), []);
    await machine.measure({ battery: 12 }, false);
    await pass(30 * SECOND);
    const [sent] = await network.acknowledgeAll();
    assert.deepEqual(Object.keys(sent?.message ?? {}), ['battery', 'timestamp']);
  });

  it('goes at once where that is asked for, each message with a time of its own', async () => {
    const { machine, network } = await solarSite();
    await network.acknowledgeAll();
    for (let count = 0; count < 3; count += 1) await machine.measure({ battery: 13 }, true);
    const sent = await network.acknowledgeAll();
    const keys = sent.map(({ payload }) => parseTelemetry(payload, NOW, NOW, 0).row.at - NOW);
    assert.deepEqual(keys, [0, 1, 2]);
  });

  it('says no time where it is to say none', async () => {
    const { machine, network } = await solarSite({}, false);
    await network.acknowledgeAll();
    await machine.measure({ battery: 13 }, true);
    assert.deepEqual((await network.acknowledgeAll())[0]?.message, { battery: 13 });
  });

  it('waits on disk while there is no connection, and is sent in its order', async () => {
    const site = await solarSite();
    await site.network.acknowledgeAll();
    await site.network.become('disconnected');
    for (const battery of [1, 2, 3]) {
      await site.machine.measure({ battery }, false);
      await site.pass(30 * SECOND);
    }
    assert.equal(site.disk.rows.size, 3);
    await site.kill();
    await site.network.become('connected');
    const sent = await site.network.acknowledgeAll();
    assert.deepEqual(
      sent.slice(1).map(({ message }) => [message['battery'], message['timestamp']]),
      [
        [1, '2024-01-15T09:00:30Z'],
        [2, '2024-01-15T09:01:00Z'],
        [3, '2024-01-15T09:01:30Z'],
      ],
    );
    assert.equal(site.disk.rows.size, 0);
  });

  it('drops the oldest past the limit, and never the one that is under way', async () => {
    const { machine, network, disk } = await solarSite({ queueLimit: 2 });
    await network.acknowledgeAll();
    for (const battery of [1, 2, 3, 4]) await machine.measure({ battery }, true);
    await setImmediate();
    const left = [...disk.rows.values()].map(({ payload }) => JSON.parse(String(payload)).battery);
    assert.deepEqual(left, [1, 4]);
    assert.equal(machine.state.dropped, 2);
    const sent = await network.acknowledgeAll();
    assert.deepEqual(
      sent.map(({ message }) => message['battery']),
      [1, 4],
    );
  });

  it('that the broker refuses is sent again after a while', async () => {
    const { machine, network, pass } = await solarSite();
    await network.acknowledgeAll();
    await machine.measure({ battery: 1 }, true);
    await network.publishes.shift()?.refuse();
    assert.equal(network.publishes.length, 0);
    await pass(2 * SECOND);
    assert.deepEqual((await network.acknowledgeAll())[0]?.message['battery'], 1);
  });

  it('that cannot be kept is told, and its values go with the next message', async () => {
    const { machine, network, disk } = await solarSite();
    await network.acknowledgeAll();
    disk.broken = true;
    await assert.rejects(machine.measure({ battery: 1, water: 9 }, true), { code: 'store_unavailable' });
    disk.broken = false;
    await machine.measure({ battery: 2 }, true);
    const { timestamp: _, ...values } = (await network.acknowledgeAll())[0]?.message ?? {};
    assert.deepEqual(values, { water: 9, battery: 2 });
  });

  it('keeps its interval where the clock is put back', async () => {
    const { machine, network, clock, pass } = await solarSite();
    await network.acknowledgeAll();
    clock.shift(-3600 * SECOND);
    await machine.measure({ battery: 1 }, false);
    await pass(30 * SECOND);
    assert.equal((await network.acknowledgeAll()).length, 1);
  });

  it('of the interval that runs is on disk when it closes', async () => {
    const site = await solarSite();
    await site.network.acknowledgeAll();
    await site.machine.measure({ battery: 1 }, false);
    const closed = site.machine.close();
    await site.network.acknowledgeAll();
    await closed;
    assert.equal(site.disk.rows.size, 1);
  });
});

describe("a solar machine's end: status", () => {
  const said = (sent: { message: Record<string, unknown> }[]) => sent.map(({ message }) => message['status']);

  it('is online until there is one; then the last one, retained, at once and after each connection', async () => {
    const { machine, network } = await solarSite();
    assert.deepEqual(said(await network.acknowledgeAll()), ['online']);
    await machine.report({ status: 'Running', area: 450 });
    const [sent] = await network.acknowledgeAll();
    assert.deepEqual([sent?.message, sent?.retain], [{ status: 'Running', area: 450 }, true]);
    await network.become('disconnected');
    await machine.report({ status: 'Idle' });
    await machine.report({ status: 'Charging' });
    await network.become('connected');
    assert.deepEqual(said(await network.acknowledgeAll()), ['Charging']);
    await network.become('disconnected');
    await network.become('connected');
    assert.deepEqual(said(await network.acknowledgeAll()), ['Charging']);
  });

  it('goes before the telemetry that waits', async () => {
    const { machine, network } = await solarSite();
    await network.acknowledgeAll();
    for (const battery of [1, 2]) await machine.measure({ battery }, true);
    await machine.report({ status: 'Running' });
    assert.deepEqual(
      (await network.acknowledgeAll()).map(({ kind }) => kind),
      ['telemetry', 'status', 'telemetry'],
    );
  });

  it('that changes while the one before is under way is sent after it, and not lost with it', async () => {
    const { machine, network, pass } = await solarSite();
    await machine.report({ status: 'Running' });
    await network.publishes.shift()?.refuse();
    await pass(2 * SECOND);
    assert.deepEqual(said(await network.acknowledgeAll()), ['Running']);
  });

  it('is offline at an orderly end, and nothing follows', async () => {
    const { machine, network, pass } = await solarSite();
    await network.acknowledgeAll();
    const closed = machine.close();
    const [goodbye] = network.publishes;
    assert.deepEqual([goodbye?.message, goodbye?.retain], [{ status: 'offline' }, true]);
    await network.acknowledgeAll();
    await closed;
    await machine.measure({ battery: 1 }, true);
    await pass(60 * SECOND);
    assert.deepEqual(network.publishes, []);
  });

  it('does not wait for ever for a broker that does not answer the goodbye', async () => {
    const { machine, network, pass } = await solarSite();
    await network.acknowledgeAll();
    const closed = machine.close();
    await pass(SECOND);
    await closed;
  });
});

describe("a solar machine's end: what it is given", () => {
  it('has the topics of the document', () => {
    assert.deepEqual(machineTopics({ companyId: 'c', machineId: 'm' }, 'plant/'), {
      telemetry: 'plant/company/c/machine/m/telemetry',
      status: 'plant/company/c/machine/m/status',
      command: 'plant/company/c/machine/m/command',
    });
    for (const ids of [
      { companyId: '', machineId: 'm' },
      { companyId: 'c', machineId: 'm/+' },
    ]) {
      assert.throws(() => machineTopics(ids), { code: 'invalid_topic_parameter' });
    }
    assert.throws(() => machineTopics({ companyId: 'c', machineId: 'm'.repeat(256) }), {
      code: 'invalid_topic',
    });
  });

  for (const [payload, message] of [
    [{ battery: 'full' }, /msg.payload: \/battery must be number/],
    [{ battery: Number.NaN }, /battery is NaN: accepted is a finite number/],
    [{ extra: { temp: Infinity } }, /temp is Infinity: accepted is a finite number/],
    [{ timestamp: '2024-01-15T09:00:00Z', battery: 1 }, /\/timestamp is not accepted/],
    [{ extra: 'x'.repeat(17_000) }, /\/extra has 17002 bytes; at most 16384/],
    [{}, /must NOT have fewer than 1 properties/],
    [undefined, /must be object/],
    [7, /must be object/],
  ] as const) {
    it(`refuses ${JSON.stringify(payload)?.slice(0, 40)} as a measurement`, () => {
      assert.throws(() => readMeasurement(payload, NOW), { code: 'invalid_input', message });
    });
  }

  it('refuses values that do not fit into one message together, and keeps those before', async () => {
    const { machine, network } = await solarSite();
    await network.acknowledgeAll();
    await machine.measure({ extra: { a: 'x'.repeat(10_000) } }, false);
    await assert.rejects(machine.measure({ extra: { b: 'x'.repeat(10_000) } }, false), {
      code: 'invalid_input',
    });
    assert.deepEqual(Object.keys(machine.state.values?.extra as object), ['a']);
  });

  it('takes a status as text or as an object', () => {
    assert.deepEqual(readReport('Running', NOW), { status: 'Running' });
    assert.deepEqual(readReport({ status: 'Running', energy: 1 }, NOW), { status: 'Running', energy: 1 });
    for (const wrong of ['', { energy: 1 }, { status: 'Running', area: 'large' }, null]) {
      assert.throws(() => readReport(wrong, NOW), { code: 'invalid_input', message: /^msg.payload: / });
    }
  });
});

describe("a solar machine's end: commands", () => {
  function intake(told: ToldCommands = toldInMemory()) {
    const commands: string[] = [];
    const ignored: IgnoredCommand[] = [];
    const take = createCommandIntake({
      topic: MACHINE_TOPICS.command,
      told,
      tell: ({ command }) => commands.push(command),
      ignore: (each) => ignored.push(each),
    });
    return {
      commands,
      ignored,
      take: (message: unknown, retain = false, topic = MACHINE_TOPICS.command) =>
        take({ topic, retain, receivedAt: NOW, payload: Buffer.from(JSON.stringify(message)) }),
    };
  }
  const stop = { command: 'stop', params: {} };

  it('are read as the document says', () => {
    const text = '{"command":"start_cleaning","params":{"speed":5,"mode":"auto"},"message_id":7}';
    assert.deepEqual(parseCommand(Buffer.from(text)), {
      command: 'start_cleaning',
      params: { speed: 5, mode: 'auto' },
      commandId: '7',
    });
  });

  it('with an id are told once, those without each time', async () => {
    const { commands, ignored, take } = intake();
    await Promise.all([take({ ...stop, command_id: 'a' }), take({ ...stop, command_id: 'a' })]);
    await take(stop);
    await take(stop);
    assert.equal(commands.length, 3);
    assert.deepEqual(
      ignored.map(({ reason, commandId }) => [reason, commandId]),
      [['repeated', 'a']],
    );
  });

  it('that are retained, of another topic or wrong are not told, and it is said why', async () => {
    const { commands, ignored, take } = intake();
    await take(stop, true);
    await take(stop, false, 'company/1/machine/B/command');
    await take({ command: 'stop', params: [] });
    await take({ ...stop, command_id: {} });
    assert.deepEqual(commands, []);
    assert.deepEqual(
      ignored.map(({ reason, code }) => [reason, code]),
      [
        ['retained', undefined],
        ['foreign', undefined],
        ['unreadable', 'schema_mismatch'],
        ['unreadable', 'schema_mismatch'],
      ],
    );
  });

  it('are not acknowledged while their id cannot be kept', async () => {
    const { commands, take } = intake({
      has: async () => false,
      add: () => Promise.reject(new Error('full')),
    });
    await assert.rejects(take({ ...stop, command_id: 'a' }), /full/);
    assert.deepEqual(commands, []);
  });
});
