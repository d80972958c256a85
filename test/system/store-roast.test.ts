import assert from 'node:assert/strict';
import { hasCode } from '../../lib/core/errors.js';
import type { StoredEvent } from '../../lib/roast/ports.js';
import { NO_NOTES, type Profile } from '../../lib/roast/profile.js';
import type { Point } from '../../lib/roast/session.js';
import { startRetention } from '../../lib/store/retention.js';
import { roastStore } from '../../lib/store/roast.js';
import { roastProfiles } from '../../lib/store/roast-profiles.js';
import { fakeClock } from '../support/fake-clock.js';
import { cleanUp, opened, temporaryUrl } from '../support/store.js';

const definition = {
  id: 'm1',
  name: 'Drum',
  companyId: 'a',
  driver: 'flow' as const,
  samplingMs: 1000,
  config: { controls: ['burner'], charge_at_start: true },
};
const point = (timeMs: number, more: Partial<Point> = {}): Point => ({
  timeMs,
  bt: 150.25,
  et: null,
  btRor: -3.5,
  etRor: null,
  extra: {},
  ...more,
});
const event: StoredEvent = {
  given: true,
  event: {
    number: 1,
    type: 'FCs',
    source: 'marked',
    timeMs: 900,
    knownMs: 1_500,
    bt: 150.25,
    et: null,
    supersedes: null,
  },
};
const profile: Profile = {
  title: 'Äthiopien',
  startedAt: 1_700_000_000_000,
  unit: 'C',
  samples: [
    { timeMs: 0, bt: 200, et: null },
    { timeMs: 1_000.5, bt: null, et: 210 },
  ],
  events: [{ type: 'CHARGE', timeMs: 0, source: 'detected', bt: 200, et: null }],
  controls: [{ timeMs: 0, channel: 'burner', value: 0.5, label: '' }],
  extraChannels: [{ name: 'inlet', samples: [{ timeMs: 0, value: 305 }] }],
  notes: { ...NO_NOTES, beans: 'Guji' },
  greenG: 1000,
  roastedG: 850,
  artisan: null,
};

describe('roasts in the store', () => {
  afterEach(cleanUp);

  it('keep machines as they were set up, oldest first, each id once', async () => {
    const clock = fakeClock();
    const roasts = roastStore(await opened(), { clock });
    await roasts.addMachine(definition);
    clock.advance(1);
    await roasts.addMachine({ ...definition, id: 'a', driver: 'simulator' });
    await assert.rejects(roasts.addMachine(definition), (error) => hasCode(error, 'conflict'));
    await roasts.updateMachine({ ...definition, name: 'Big drum', config: {} });
    await roasts.setConnected('m1', true);
    const [first, second] = await roasts.machines();
    assert.deepEqual(first?.definition, { ...definition, name: 'Big drum', config: {} });
    assert.deepEqual([first?.connected, first?.sessionId], [true, null]);
    assert.equal(second?.definition.id, 'a');
    await roasts.removeMachine('m1');
    assert.deepEqual(
      (await roasts.machines()).map((each) => each.definition.id),
      ['a'],
    );
  });

  it('keep a session reading by reading, for another process to go on with', async () => {
    const url = await temporaryUrl();
    const roasts = roastStore(await opened(url));
    await roasts.addMachine(definition);
    const begin = { machineId: 'm1', startedAt: 1_700_000_000_000 };
    await roasts.beginSession({ ...begin, sessionId: 'watch', phase: 'monitoring', leadIn: [] });
    const leadIn = [{ timeMs: -1_000, bt: 200.5, et: null }];
    await roasts.beginSession({ ...begin, sessionId: 'roast', phase: 'recording', leadIn });
    const points = [point(500), point(1_500, { extra: { inlet: 305.5, drum: null } }), point(2_500)];
    await Promise.all(points.map((each) => roasts.addPoint('roast', each)));
    await roasts.addEvent('roast', event);
    await roasts.addControl('roast', 1, { timeMs: 700, channel: 'burner', value: 0.7 });

    const other = roastStore(await opened(url));
    const stored = { sessionId: 'roast', phase: 'recording', startedAt: 1_700_000_000_000, endedMs: null };
    const parts = {
      leadIn,
      points,
      events: [event],
      controls: [{ timeMs: 700, channel: 'burner', value: 0.7 }],
    };
    assert.deepEqual(await other.session('roast'), { ...stored, ...parts });
    assert.equal((await other.machines())[0]?.sessionId, 'roast');
    assert.equal(await other.session('watch'), undefined, 'what only monitored is forgotten');
    await other.endSession('roast', 3_000);
    assert.deepEqual(await other.session('roast'), {
      ...stored,
      phase: 'finished',
      endedMs: 3_000,
      ...parts,
    });
    await other.leaveSession('m1');
    assert.equal((await other.machines())[0]?.sessionId, null);
    assert.ok(await other.session('roast'), 'what was recorded stays');
  });

  it('keep profiles whole, newest first', async () => {
    const profiles = roastProfiles(await opened());
    const first = await profiles.add(profile);
    const second = await profiles.add({ ...profile, title: 'B' }, { machineId: 'm1', sessionId: 'roast' });
    assert.deepEqual([first.machineId, first.durationMs, second.machineId], [null, 1_001, 'm1']);
    assert.deepEqual((await profiles.find(first.id))?.profile, profile);
    assert.deepEqual(await profiles.profile(second.id, null), { ...profile, title: 'B' });
    const page = await profiles.page({ limit: 1 });
    assert.deepEqual(page.items, [second]);
    assert.deepEqual((await profiles.page({ limit: 1, cursor: page.next_cursor as string })).items, [first]);
    await profiles.remove(first.id);
    await assert.rejects(profiles.remove(first.id), (error) => hasCode(error, 'not_found'));
    assert.equal(await profiles.find(first.id), undefined);
  });

  it('keep profiles apart by company, beside what is everyone’s', async () => {
    const profiles = roastProfiles(await opened());
    const entries = [];
    for (const companyId of [null, 'a', 'b']) {
      entries.push(await profiles.add({ ...profile, title: String(companyId) }, { companyId }));
    }
    const seen = async (companies?: string[]) =>
      (await profiles.page({ companies })).items.map(({ companyId }) => companyId);
    assert.deepEqual(await seen(), ['b', 'a', null]);
    assert.deepEqual(await seen(['a']), ['a', null]);
    assert.deepEqual(await seen([]), [null]);
    const [common, ofA] = entries.map(({ id }) => id) as [string, string];
    const isThere = async (id: string, companyId: string | null) =>
      (await profiles.profile(id, companyId)) !== undefined;
    assert.deepEqual([await isThere(common, null), await isThere(common, 'a')], [true, true]);
    assert.deepEqual(
      [await isThere(ofA, 'a'), await isThere(ofA, 'b'), await isThere(ofA, null)],
      [true, false, false],
    );
  });

  it('forget a recording that was left 30 days ago, and none that a machine still has', async () => {
    const clock = fakeClock();
    const store = await opened();
    const roasts = roastStore(store, { clock });
    const begin = async (sessionId: string) => {
      await roasts.beginSession({
        ...{ sessionId, machineId: 'm1', phase: 'recording', startedAt: clock.now(), leadIn: [] },
      });
      for (let reading = 0; reading < 600; reading += 1) void roasts.addPoint(sessionId, point(reading));
      await roasts.addEvent(sessionId, event);
      await roasts.addControl(sessionId, 1, { timeMs: 0, channel: 'burner', value: 1 });
    };
    await roasts.addMachine(definition);
    await begin('old');
    await roasts.leaveSession('m1');
    await begin('still there');
    clock.advance(31 * 86_400_000);
    const retention = startRetention(store, { clock });
    try {
      await retention.run();
    } finally {
      await retention.stop();
    }
    assert.equal(await roasts.session('old'), undefined);
    assert.equal((await roasts.session('still there'))?.points.length, 600);
    const left = (table: 'roast_point' | 'roast_event' | 'roast_control') =>
      store.db.selectFrom(table).select('session_id').where('session_id', '=', 'old').execute();
    for (const table of ['roast_point', 'roast_event', 'roast_control'] as const) {
      assert.deepEqual(await left(table), [], table);
    }
  });
});
