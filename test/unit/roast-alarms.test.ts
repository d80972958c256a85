import assert from 'node:assert/strict';
import { FieldloomError } from '../../lib/core/errors.js';
import { type AlarmRule, evaluateAlarms, NO_ALARMS, type Situation } from '../../lib/roast/alarms.js';
import type { EventType } from '../../lib/roast/event.js';
import { parseMachine } from '../../lib/roast/machine-definition.js';

const rule = (id: string, when: AlarmRule['when'], more: Partial<AlarmRule> = {}): AlarmRule => ({
  ...{ id, message: id, severity: 'warning', when, actions: [] },
  ...more,
});
const above = (value: number, source: 'bt' | 'et' | 'bt_ror' | 'et_ror' = 'bt'): AlarmRule['when'] => ({
  ...{ kind: 'value', source, above: value },
});
const at = (
  bt: number | null,
  events: [EventType, number][] = [],
  timeMs = 0,
  more: Partial<Situation['values']> = {},
): Situation => ({
  timeMs,
  values: { bt, et: null, bt_ror: null, et_ror: null, ...more },
  events: new Map(events),
});

/** Which alarms fire, moment by moment. */
function fired(rules: AlarmRule[], ...moments: Situation[]): string[][] {
  let state = NO_ALARMS;
  return moments.map((moment) => {
    const step = evaluateAlarms(rules, state, moment);
    state = step.state;
    return step.fired.map(({ id }) => id);
  });
}

describe('roast alarms', () => {
  it('fire once when a value passes a limit, and not for a missing one', () => {
    const rules = [rule('hot', above(200))];
    assert.deepEqual(fired(rules, at(200), at(null), at(200.1), at(190), at(201)), [[], [], ['hot'], [], []]);
  });

  it('fire below a limit, and on each of the four values', () => {
    for (const source of ['bt', 'et', 'bt_ror', 'et_ror'] as const) {
      const rules = [rule('low', { kind: 'value', source, below: 5 })];
      assert.deepEqual(fired(rules, at(null, [], 0, { [source]: 5 }), at(null, [], 0, { [source]: 4.9 })), [
        [],
        ['low'],
      ]);
    }
  });

  it('fire again once the value has been back by the hysteresis', () => {
    const rules = [rule('hot', above(200), { hysteresis: 5 })];
    const values = [201, 199, 201, 196, 201, 195, 201, 210];
    assert.deepEqual(
      fired(rules, ...values.map((value) => at(value))).map((ids) => ids.length),
      [1, 0, 0, 0, 0, 0, 1, 0],
    );
  });

  it('fire so long after an event, and on an event', () => {
    const rules = [
      rule('late', { kind: 'time', event: 'FCs', seconds: 90 }),
      rule('now', { kind: 'event', event: 'FCs' }),
    ];
    const crack: [EventType, number][] = [['FCs', 10_000]];
    assert.deepEqual(
      fired(
        rules,
        at(null, [], 5_000),
        at(null, crack, 10_000),
        at(null, crack, 99_999),
        at(null, crack, 100_000),
      ),
      [[], ['now'], [], ['late']],
    );
  });

  it('wait for the event, the alarm they need, and keep silent after the one they must not follow', () => {
    const rules = [
      rule('a', above(200), { afterEvent: 'CHARGE' }),
      rule('b', above(190), { ifAlarm: 'a' }),
      rule('c', above(210), { butNot: 'a' }),
      rule('d', above(205), { butNot: 'b' }),
    ];
    const charged: [EventType, number][] = [['CHARGE', 0]];
    assert.deepEqual(fired(rules, at(204), at(204, charged), at(211, charged)), [[], ['a', 'b'], []]);
  });

  it('are looked at in the order of their ids, whatever the order they are written in', () => {
    const rules = [rule('z', above(200)), rule('B', above(200), { ifAlarm: 'A' }), rule('A', above(200))];
    assert.deepEqual(fired(rules, at(201)), [['A', 'B', 'z']]);
    const early = [rule('1', above(200), { ifAlarm: '2' }), rule('2', above(200))];
    assert.deepEqual(fired(early, at(201), at(201)), [['2'], ['1']]);
  });

  it('are refused where they can never be met', () => {
    const refused = (when: object, more: object = {}) => {
      try {
        parseMachine({ name: 'x', driver: 'flow', config: { alarms: [{ id: 'a', when, ...more }] } }, 'm1');
        return undefined;
      } catch (error) {
        assert.ok(error instanceof FieldloomError);
        return error.pointer;
      }
    };
    assert.equal(refused({ source: 'bt', above: 200 }), undefined);
    assert.equal(refused({ source: 'bt' }), '/config/alarms/0/when');
    assert.equal(refused({ source: 'bt', above: 1, below: 2 }), '/config/alarms/0/when');
    assert.equal(refused({ source: 'time', above: 5 }), '/config/alarms/0/when');
    assert.equal(refused({ source: 'event' }), '/config/alarms/0/when');
    assert.equal(refused({ source: 'steam', above: 5 }), '/config/alarms/0/when/source');
    assert.equal(
      refused({ source: 'bt', above: 5 }, { set_control: { channel: 'burner', value: 2 } }),
      '/config/alarms/0/set_control/value',
    );
  });
});
