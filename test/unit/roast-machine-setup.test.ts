import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { composeFlows } from '../../bin/compose.js';
import { sampleRoast } from '../../bin/simulated-roasts.js';
import { type MachineDefinition, sameDriver, speedOf } from '../../lib/roast/machine-definition.js';
import { changePace, REAL_TIME } from '../../lib/roast/pace.js';
import { formatProfile } from '../../lib/roast/profile-codec.js';
import { formatSession, parseProfileRequest } from '../../lib/roast/rest-format.js';
import { createSimulatorDriver } from '../../lib/roast/simulator-driver.js';
import { roastStatistics } from '../../lib/roast/statistics.js';
import { command, machineBench, settled } from '../support/roast-machine.js';

const definition = (part: Partial<MachineDefinition> = {}): MachineDefinition => ({
  ...{ id: 'm1', name: 'Drum', companyId: null, driver: 'simulator', samplingMs: 1000, config: {} },
  ...part,
});

describe('the pace of a machine', () => {
  it('goes on from where it was when the speed changes', () => {
    const fast = changePace(REAL_TIME, 10, 1_000);
    assert.deepEqual([fast.at(1_000), fast.at(1_500)], [1_000, 6_000]);
    const slow = changePace(fast, 1, 1_500);
    assert.deepEqual([slow.at(1_500), slow.at(2_500)], [6_000, 7_000]);
    assert.equal(changePace(fast, 10, 9_000), fast);
  });

  it('is the choice of a simulated machine alone', () => {
    assert.equal(speedOf(definition({ config: { speed: 6 } })), 6);
    assert.equal(speedOf(definition({ driver: 'flow', config: { speed: 6 } })), 1);
  });

  it('makes a simulated roaster heat as much in a tenth of the time', async () => {
    const after = async (speed: number, ms: number) => {
      let now = 0;
      const driver = createSimulatorDriver(() => now, { speed, noiseC: 0 });
      await driver.write('burner', 1);
      for (let step = 0; step < 60; step += 1) {
        now += ms / 60;
        await driver.read();
      }
      return (await driver.read()).bt ?? 0;
    };
    const [real, fast] = [await after(1, 60_000), await after(10, 6_000)];
    assert.ok(real > 210, `${real}`);
    assert.ok(Math.abs(real - fast) < 0.01, `${real} and ${fast}`);
  });
});

describe('a roasting machine that is set up anew', () => {
  it('keeps its driver where only the session looks at what has changed', () => {
    const alarms = [{ id: 'a', when: { source: 'bt' as const, above: 200 } }];
    assert.ok(sameDriver(definition(), definition({ name: 'other', config: { alarms, dry_end_c: 155 } })));
    assert.ok(!sameDriver(definition(), definition({ config: { speed: 2 } })));
    assert.ok(!sameDriver(definition(), definition({ samplingMs: 500 })));
    assert.ok(!sameDriver(definition(), definition({ driver: 'flow' })));
  });

  it('goes on reading with its rates as they were when its alarms change', async () => {
    const bench = await machineBench();
    const watcher = bench.watch('one');
    await bench.say(watcher, command('start_monitoring'));
    for (let index = 0; index < 40; index += 1) await bench.read(100 + index * 0.2);
    const before = watcher.of('temperature').at(-1)?.bt_ror;
    assert.ok(before !== null && before !== undefined);
    const alarms = [{ id: 'hot', when: { source: 'bt' as const, above: 105 } }];
    await bench.machine.redefine({ ...bench.machine.definition, config: { alarms } }, undefined);
    await bench.read(108.2);
    const after = watcher.of('temperature').at(-1)?.bt_ror;
    assert.ok(
      typeof after === 'number' && Math.abs(after - (before as number)) < 1,
      `${before} and ${after}`,
    );
    assert.ok(!watcher.of('connection').some(({ driver_state }) => driver_state === 'disconnected'));
  });

  it('tells everybody when the lock is taken and when it is free again', async () => {
    const bench = await machineBench();
    const [one, two] = [bench.watch('one'), bench.watch('two')];
    await bench.say(one, { type: 'control', channel: 'burner', value: 0.5 });
    assert.deepEqual([one.of('state').at(-1)?.lock, two.of('state').at(-1)?.lock], ['yours', 'other']);
    if (one.client !== undefined) bench.machine.leave(one.client);
    bench.clock.advance(10_000);
    await settled();
    assert.equal(two.of('state').at(-1)?.lock, 'free');
  });

  it('has the alarms that have fired in its session, also after a restart', async () => {
    const alarms = [{ id: 'hot', message: 'Hot', when: { source: 'bt' as const, above: 105 } }];
    const bench = await machineBench({ config: { alarms } });
    const watcher = bench.watch('one');
    await bench.say(watcher, command('start_monitoring'));
    await bench.say(watcher, command('start_recording'));
    await bench.read(100);
    await bench.read(110);
    const fired = formatSession(bench.machine).alarms;
    assert.deepEqual(
      fired.map(({ alarm_id, message }) => [alarm_id, message]),
      [['hot', 'Hot']],
    );
    const again = await bench.restart(1_000);
    assert.deepEqual(formatSession(again.machine).alarms, fired);
  });

  it('tells a flow its state when it is asked', async () => {
    const bench = await machineBench();
    bench.machine.tellState();
    const told = bench.told.at(-1);
    assert.deepEqual(told?.type === 'state' && [told.state, told.lock], ['idle', 'free']);
  });
});

describe('the simulated roasters of the flows', () => {
  it('have a sample roast with all its phases', async () => {
    const roast = await sampleRoast();
    const { totalMs, drying, maillard, developmentRatio, weightLoss } = roastStatistics(roast);
    assert.ok(totalMs !== null && totalMs > 9 * 60_000 && totalMs < 13 * 60_000, `${totalMs}`);
    assert.ok(drying !== null && maillard !== null && weightLoss !== null);
    assert.ok(developmentRatio !== null && developmentRatio > 0.12 && developmentRatio < 0.22);
    assert.deepEqual(
      roast.events.map(({ type }) => type),
      ['CHARGE', 'TP', 'DRY_END', 'FCs', 'DROP'],
    );
    assert.deepEqual(await sampleRoast(), roast);
  });

  it('are operated by a flow that names one of them', async () => {
    const tick = (await composeFlows(resolve('flows'))).find(({ id }) => id === 'simulator-roasts-tick');
    assert.deepEqual(JSON.parse(String(tick?.['payload'])), { machine_id: 'demo-roaster-1' });
  });
});

describe('a profile that comes as a file', () => {
  it('is read by its content, and called as the file where it has no name', async () => {
    const roast = { ...(await sampleRoast()), title: '' };
    const csv = parseProfileRequest(Buffer.from(formatProfile(roast, 'csv')), 'Monday');
    assert.ok(csv.type === 'import');
    assert.deepEqual([csv.profile.title, csv.profile.samples.length], ['Monday', roast.samples.length]);
    const alog = formatProfile({ ...roast, title: 'Its own' }, 'alog');
    const named = parseProfileRequest(Buffer.from(alog), 'Monday');
    assert.equal(named.type === 'import' && named.profile.title, 'Its own');
    assert.throws(() => parseProfileRequest(Buffer.from('a,b\n1,2\n'), 'x'), { code: 'invalid_profile' });
  });
});
