import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseAllowedCommands } from '../../lib/solar/allowed-commands.js';
import {
  type MachineEvent,
  type MachineState,
  RESTART_MS,
  shownStatus,
  transition,
} from '../../lib/solar/state.js';
import { IDS } from '../support/solar.js';

const NEW: MachineState = {
  ...IDS,
  number: 1,
  presence: 'new',
  reported: null,
  reportedAt: null,
  since: 0,
  leftAt: null,
};
const reported = (status: string) => ({ status, energy: null, water: null, area: null, others: null });

type Happening = 'Running' | 'Idle' | 'offline' | 'telemetry' | 'silence' | number;
const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.constantFrom<Happening>('Running', 'Idle', 'offline', 'telemetry', 'silence'),
  fc.constantFrom(100, 4_000, 6_000),
);

/** All that happens to one machine, with the word that its five seconds are over as soon as they are. */
function run(happenings: readonly Happening[]) {
  let state = NEW;
  let now = 1_000_000;
  const changes: { status: string; previousStatus: string | null; restarted: boolean; at: number }[] = [];
  const happen = (event: MachineEvent) => {
    const result = transition(state, event, now);
    if (!result.effects.store) assert.deepEqual(result.state, state);
    state = result.state;
    if (result.effects.change !== undefined) changes.push(result.effects.change);
  };
  for (const each of happenings) {
    if (typeof each === 'number') {
      const over = state.presence === 'leaving' ? (state.leftAt ?? 0) + RESTART_MS : Infinity;
      if (over <= now + each) {
        const until = now + each;
        now = over;
        happen({ type: 'left' });
        now = until;
      } else now += each;
    } else if (each === 'telemetry') happen({ type: 'telemetry', receivedAt: now });
    else if (each === 'silence') happen({ type: 'silence', lastSeen: now - 90_000 });
    else happen({ type: 'status', reported: reported(each), receivedAt: now, past: false });
  }
  return { state, changes };
}

describe('the status of a solar machine', () => {
  it('is what its last words say, and each change begins where the one before ended', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 40 }), (happenings) => {
        const { state, changes } = run([...happenings, 6_000]);
        for (const [index, { status, previousStatus, restarted }] of changes.entries()) {
          assert.equal(previousStatus, changes[index - 1]?.status ?? null);
          assert.ok(status !== previousStatus || restarted, 'only a restart changes nothing');
        }
        if (state.presence !== 'new') assert.equal(changes.at(-1)?.status, shownStatus(state));
        const words = happenings.filter((each) => typeof each !== 'number');
        const last = words.at(-1);
        if (last === 'offline') assert.equal(state.presence, 'offline');
        if (last === 'Running' || last === 'Idle') {
          assert.deepEqual([state.presence, shownStatus(state)], ['online', last]);
        }
        if (last === 'telemetry') assert.equal(state.presence, 'online');
      }),
      { numRuns: 2_000 },
    );
  });

  it('never shows offline of a machine that is back within 5 s', () => {
    fc.assert(
      fc.property(fc.constantFrom<Happening>('Running', 'Idle', 'telemetry'), (back) => {
        const { changes } = run(['Running', 'offline', 4_000, back, 6_000]);
        assert.equal(changes.length, 2);
        assert.equal(changes[1]?.restarted, true);
      }),
    );
  });
});

describe('allowed commands', () => {
  const text = JSON.stringify({
    1: { clean: { type: 'object', required: ['speed'], properties: { speed: { type: 'number' } } } },
    '*': {},
  });

  it('are those of the company, with params as its schema says', () => {
    const allowed = parseAllowedCommands(text);
    allowed.check('1', 'clean', { speed: 5 });
    assert.throws(() => allowed.check('1', 'clean', {}), { code: 'invalid_input', pointer: '/params/speed' });
    assert.throws(() => allowed.check('1', 'stop', {}), /accepted is "clean"/);
    assert.throws(() => allowed.check('2', 'clean', { speed: 5 }), /accepted is none/);
    parseAllowedCommands('{"1":{}}').check('2', 'anything', {});
    parseAllowedCommands('').check('1', 'anything', {});
  });

  it('are told with their schemas as they were set, or that any is taken', () => {
    const allowed = parseAllowedCommands(text);
    assert.deepEqual(allowed.of('1'), [{ command: 'clean', params: JSON.parse(text)[1].clean }]);
    assert.deepEqual(allowed.of('2'), []);
    assert.equal(parseAllowedCommands('{"1":{}}').of('2'), undefined);
    assert.equal(parseAllowedCommands('').of('1'), undefined);
  });

  it('are refused as a setting where they are none', () => {
    for (const wrong of ['{', '[]', '{"1":[]}', '{"1":{"x":1}}', '{"1":{"x":{"type":"wrong"}}}']) {
      assert.throws(() => parseAllowedCommands(wrong), { code: 'invalid_setting' }, wrong);
    }
  });
});
