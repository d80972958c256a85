import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { transition } from '../../lib/command/responder.js';
import { responderTopics } from '../../lib/command/responder-codec.js';
import type { SeenCommand } from '../../lib/command/responder-ports.js';
import {
  DEVICE,
  type DeviceSettings,
  device,
  SENT_AT,
  seedCommand,
  seenStore,
  TOPICS,
} from '../support/responder.js';

const told: SeenCommand = { commandId: 'a', receivedAt: 1, state: 'told' };
const answer = { success: true, message: 'done', at: 2 };
const answered = (published: boolean): SeenCommand => ({
  commandId: 'a',
  receivedAt: 1,
  state: 'answered',
  answer,
  published,
});
const right = { type: 'command', commandId: 'a', problem: undefined } as const;
const wrong = {
  type: 'command',
  commandId: 'a',
  problem: { reason: 'expired', message: 'too late' },
} as const;
const no = (message: string) => {
  const publish = { success: false, message, at: 9 };
  return {
    store: { commandId: 'a', receivedAt: 1, state: 'answered', answer: publish, published: false },
    publish,
  };
};

describe('a command at the device, event by event', () => {
  it('never seen and right is stored as told, and told', () => {
    const store = { commandId: 'a', receivedAt: 9, state: 'told' };
    assert.deepEqual(transition(undefined, right, 9, false), { store, tell: true });
    assert.deepEqual(transition(undefined, right, 9, true), { store, progress: true, tell: true });
  });

  it('never seen and wrong is answered with a no, and told nobody', () => {
    const { store, publish } = no('too late');
    assert.deepEqual(transition(undefined, wrong, 9, true), {
      store: { ...store, receivedAt: 9 },
      publish,
      ignored: 'expired',
    });
  });

  it('told already is ignored, whatever it says now; its receipt is said again where that is set', () => {
    for (const event of [right, wrong]) {
      assert.deepEqual(transition(told, event, 9, false), { ignored: 'repeated' });
      assert.deepEqual(transition(told, event, 9, true), { progress: true, ignored: 'repeated' });
    }
  });

  it('answered already gets the stored answer again', () => {
    for (const event of [right, wrong]) {
      for (const published of [true, false]) {
        assert.deepEqual(transition(answered(published), event, 9, true), {
          publish: answer,
          ignored: 'repeated',
        });
      }
    }
  });

  it('takes the answer of its flow once', () => {
    const event = { type: 'answer', success: true, message: 'done' } as const;
    const publish = { ...answer, at: 9 };
    assert.deepEqual(transition(told, event, 9, false), {
      store: { commandId: 'a', receivedAt: 1, state: 'answered', answer: publish, published: false },
      publish,
    });
    assert.deepEqual(transition(answered(true), event, 9, false), { rejected: 'answered' });
    assert.deepEqual(transition(undefined, event, 9, false), { rejected: 'unknown' });
  });

  it('that its flow leaves without an answer is answered with a no, unless it has one', () => {
    const event = { type: 'overdue', afterMs: 30_000 } as const;
    assert.deepEqual(transition(told, event, 9, false), no('no answer from the flow in 30 s'));
    assert.deepEqual(transition(answered(true), event, 9, false), {});
    assert.deepEqual(transition(undefined, event, 9, false), {});
  });

  it('told before a restart has an unknown outcome; an answer that was not sent is sent', () => {
    const event = { type: 'restarted' } as const;
    assert.deepEqual(transition(told, event, 9, true), no('outcome unknown'));
    assert.deepEqual(transition(answered(false), event, 9, true), { publish: answer });
    assert.deepEqual(transition(answered(true), event, 9, true), {});
  });

  it('whose answer the broker has taken is noted so, once', () => {
    const event = { type: 'published' } as const;
    assert.deepEqual(transition(answered(false), event, 9, false), { store: answered(true) });
    assert.deepEqual(transition(answered(true), event, 9, false), {});
    assert.deepEqual(transition(told, event, 9, false), {});
  });
});

describe('the device responder', () => {
  const begin = (settings?: DeviceSettings) => {
    const disk = seenStore();
    return { disk, ...device(disk, settings) };
  };
  const isDone = async (promise: Promise<unknown>) => {
    let done = false;
    promise.then(
      () => {
        done = true;
      },
      () => {},
    );
    await setImmediate();
    return done;
  };

  it('acknowledges the message when the id is on disk, and tells the flow only then', async () => {
    const { disk, acts, handle } = begin();
    const handled = handle(seedCommand('a'));
    assert.equal(await isDone(handled), false);
    assert.equal(acts.length, 0);
    await disk.step();
    await handled;
    assert.deepEqual(disk.rows.get('a'), { commandId: 'a', receivedAt: SENT_AT, state: 'told' });
    assert.deepEqual(acts, [
      {
        commandId: 'a',
        commandType: 'FEED',
        pondPosition: 1,
        parameters: { action: 'feed', amount: 100, timestamp: '2025-08-30T01:00:00Z' },
        timestamp: SENT_AT,
        expiresAt: null,
        original: seedCommand('a'),
      },
    ]);
  });

  it('sends the answer of the flow field by field as the document has it, when it is on disk', async () => {
    const { disk, clock, responder, acks, options, handle } = begin();
    void handle(seedCommand('uuid-string'));
    await disk.settle();
    clock.advance(1_000);
    const message = 'Feed command executed successfully';
    const done = responder.answer('uuid-string', { success: true, message });
    assert.equal(await isDone(done), false);
    assert.deepEqual(acks, []);
    await disk.step();
    await done;
    assert.equal(
      JSON.stringify(acks[0]),
      '{"command_id":"uuid-string","success":true,"message":"Feed command executed successfully",' +
        '"timestamp":"2025-08-30T01:00:01Z"}',
    );
    assert.deepEqual(options, [{ topic: `devices/${DEVICE}/ack`, qos: 2 }]);
  });

  it('says itself what has come of it where the flow does not', async () => {
    const { disk, responder, acks, handle } = begin();
    for (const id of ['a', 'b']) void handle(seedCommand(id));
    await disk.settle();
    void responder.answer('a', { success: true });
    void responder.answer('b', { success: false });
    await disk.settle();
    assert.deepEqual(
      acks.map(({ message }) => message),
      ['FEED command executed successfully', 'FEED command failed'],
    );
  });

  it('does not act on a repetition while the flow is at work, and sends its answer once', async () => {
    const { disk, acts, acks, ignored, responder, handle } = begin();
    void handle(seedCommand('a'));
    void handle(seedCommand('a'));
    await disk.settle();
    void handle(seedCommand('a', { parameters: { amount: 900 } }));
    await disk.settle();
    assert.equal(acts.length, 1);
    assert.deepEqual(
      ignored.map(({ reason, commandId }) => [reason, commandId]),
      [
        ['repeated', 'a'],
        ['repeated', 'a'],
      ],
    );
    void responder.answer('a', { success: true });
    await disk.settle();
    assert.equal(acks.length, 1);
  });

  it('answers a repetition from disk after a restart, with the time of the first answer', async () => {
    const first = begin();
    void first.handle(seedCommand('a'));
    await first.disk.settle();
    void first.responder.answer('a', { success: true, message: 'fed' });
    await first.disk.settle();
    await first.responder.close();
    const second = device(first.disk);
    second.clock.advance(60_000);
    void second.handle(seedCommand('a'));
    await first.disk.settle();
    assert.deepEqual(second.acts, []);
    assert.deepEqual(second.acks, first.acks);
  });

  it('that lost its power before the flow was told answers "outcome unknown" at its start, and never acts', async () => {
    const first = begin();
    void first.handle(seedCommand('a')).catch(() => {});
    await setImmediate();
    await first.disk.step();
    first.disk.kill();
    const second = device(first.disk);
    void second.responder.start();
    await first.disk.settle();
    assert.deepEqual(
      second.acks.map(({ success, message }) => [success, message]),
      [[false, 'outcome unknown']],
    );
    void second.handle(seedCommand('a'));
    await first.disk.settle();
    assert.deepEqual(second.acts, []);
    assert.deepEqual(second.acks[1], second.acks[0]);
    await assert.rejects(second.responder.answer('a', { success: true }), { code: 'conflict' });
    assert.equal(second.acks.length, 2);
  });

  it('sends after a restart what it had answered and no broker had taken', async () => {
    const first = begin({ online: false });
    void first.handle(seedCommand('a'));
    await first.disk.settle();
    void first.responder.answer('a', { success: true, message: 'fed' });
    await first.disk.settle();
    assert.equal(first.responder.unsent, 1);
    await first.responder.close();
    const second = device(first.disk);
    void second.responder.start();
    await first.disk.settle();
    assert.deepEqual(second.acks, first.acks);
    assert.equal(second.responder.unsent, 0);
    const third = device(first.disk);
    await third.responder.start();
    assert.deepEqual(third.acks, []);
  });

  it('sends an answer again that the broker did not take, until it does', async () => {
    const { disk, clock, responder, acks, publishing, handle } = begin({ online: false });
    void handle(seedCommand('a'));
    await disk.settle();
    void responder.answer('a', { success: true });
    await disk.settle();
    publishing.shift()?.reject(new Error('no place'));
    await setImmediate();
    assert.equal(clock.timers, 1);
    clock.advance(1_200);
    assert.equal(acks.length, 2);
    publishing.shift()?.resolve();
    await disk.settle();
    assert.equal(responder.unsent, 0);
    assert.equal(clock.timers, 0);
  });

  it('asked for an answer that is under way sends it once more after that, however often it was asked', async () => {
    const { disk, responder, acks, publishing, handle } = begin({ online: false });
    void handle(seedCommand('a'));
    await disk.settle();
    void responder.answer('a', { success: true });
    for (let count = 0; count < 3; count += 1) void handle(seedCommand('a'));
    await disk.settle();
    assert.equal(acks.length, 1);
    publishing.shift()?.resolve();
    await disk.settle();
    assert.equal(acks.length, 2);
    publishing.shift()?.resolve();
    await disk.settle();
    assert.deepEqual(acks, [acks[0], acks[0]]);
  });

  it('acknowledges as received first, where that is set, and again with each repetition', async () => {
    const { disk, responder, acks, acts, handle } = begin({ progress: true });
    void handle(seedCommand('a'));
    await disk.settle();
    assert.deepEqual(acks, [{ command_id: 'a', message: 'received', timestamp: '2025-08-30T01:00:00Z' }]);
    void handle(seedCommand('a'));
    await disk.settle();
    void responder.answer('a', { success: true });
    await disk.settle();
    assert.deepEqual(
      acks.map(({ success }) => success),
      [undefined, undefined, true],
    );
    assert.equal(acts.length, 1);
  });

  it('answers no where the flow does not within the time that is set, and reports a later answer', async () => {
    const { disk, clock, responder, acks, handle } = begin({ answerTimeoutMs: 30_000 });
    void handle(seedCommand('a'));
    await disk.settle();
    clock.advance(10_000);
    void handle(seedCommand('b'));
    await disk.settle();
    clock.advance(20_000);
    await disk.settle();
    assert.deepEqual(
      acks.map(({ command_id, success, message }) => [command_id, success, message]),
      [['a', false, 'no answer from the flow in 30 s']],
    );
    await assert.rejects(responder.answer('a', { success: true }), { code: 'conflict' });
    clock.advance(10_000);
    await disk.settle();
    assert.equal(acks.length, 2);
    assert.equal(clock.timers, 0);
  });

  it('waits for its flow as long as it takes, where no time is set', async () => {
    const { disk, clock, responder, acks, handle } = begin();
    void handle(seedCommand('a'));
    await disk.settle();
    clock.advance(86_400_000);
    await disk.settle();
    assert.deepEqual([acks.length, clock.timers, responder.waiting], [0, 0, 1]);
  });

  it('refuses an answer to a command that it does not know', async () => {
    const { responder } = begin();
    await assert.rejects(responder.answer('a', { success: true }), { code: 'not_found' });
  });

  const feedSchema = {
    $id: 'urn:feed',
    type: 'object',
    required: ['amount'],
    properties: { amount: { type: 'number', exclusiveMinimum: 0 } },
  };
  const wrongOnes: [string, Record<string, unknown>, string, RegExp][] = [
    [
      'of a type it does not know',
      { command_type: 'DANCE' },
      'refused',
      /\/command_type is "DANCE"; accepted is FEED/,
    ],
    ['without a type', { command_type: undefined }, 'refused', /\/command_type is missing/],
    ['with parameters that are a list', { parameters: [1] }, 'refused', /\/parameters must be object/],
    ['with a position that is none', { pond_position: 0 }, 'refused', /\/pond_position must be >= 1/],
    ['with a parameter too few', { parameters: {} }, 'refused', /\/parameters\/amount is missing/],
    ['with a wrong parameter', { parameters: { amount: 0 } }, 'refused', /\/parameters\/amount must be > 0/],
    ['that has expired', { expires_at: '2025-08-30T00:59:59Z' }, 'expired', /\/expires_at .* has passed/],
    ['that expires at this very moment', { expires_at: SENT_AT / 1000 }, 'expired', /\/expires_at/],
    ['with an expiry that is no time', { expires_at: 'soon' }, 'refused', /\/expires_at must be an ISO 8601/],
    [
      'that is too old',
      { timestamp: '2025-08-30T00:58:59Z' },
      'expired',
      /\/timestamp .* is more than 60 s ago/,
    ],
    ['of unknown age', { timestamp: undefined }, 'refused', /\/timestamp is missing/],
    ['whose time is none', { timestamp: '01:00' }, 'refused', /\/timestamp must be an ISO 8601/],
  ];
  for (const [name, changes, reason, message] of wrongOnes) {
    it(`answers no to a command ${name}, names the field, and stays with it`, async () => {
      const { disk, acts, acks, ignored, handle } = begin({
        checks: { types: ['FEED'], parameterSchemas: { FEED: feedSchema }, maxAgeMs: 60_000 },
      });
      const handled = handle(seedCommand('a', changes));
      assert.equal(await isDone(handled), false);
      await disk.settle();
      await handled;
      assert.equal(acts.length, 0);
      assert.equal(acks[0]?.success, false);
      assert.match(acks[0]?.message ?? '', message);
      assert.deepEqual([ignored[0]?.reason, ignored[0]?.commandId], [reason, 'a']);
      void handle(seedCommand('a'));
      await disk.settle();
      assert.equal(acts.length, 0);
      assert.deepEqual(acks[1], acks[0]);
    });
  }

  it('takes a command in time and right by its schema, and one without parameters or position', async () => {
    const { disk, acts, handle } = begin({
      checks: { types: ['FEED', 'PING'], parameterSchemas: { FEED: feedSchema }, maxAgeMs: 60_000 },
    });
    void handle(seedCommand('a', { expires_at: '2025-08-30T01:00:01Z' }));
    void handle({ command_id: 'b', command_type: 'PING', timestamp: SENT_AT / 1000 });
    await disk.settle();
    assert.deepEqual(
      acts.map(({ commandId, pondPosition, parameters }) => [
        commandId,
        pondPosition,
        Object.keys(parameters).length,
      ]),
      [
        ['a', 1, 3],
        ['b', null, 0],
      ],
    );
  });

  it('ignores a retained command and answers nothing, since nobody waits for it', async () => {
    const { disk, acts, acks, ignored, handle } = begin();
    await handle(seedCommand('a'), { retain: true });
    assert.deepEqual([acts.length, acks.length, disk.rows.size], [0, 0, 0]);
    assert.equal(ignored[0]?.reason, 'retained');
    void handle(seedCommand('a'));
    await disk.settle();
    assert.equal(acts.length, 1);
  });

  it('keeps a message that names no command as a dead letter, once over a lost connection', async () => {
    for (const [payload, code, pointer] of [
      ['{', 'invalid_json', undefined],
      ['{"command_type":"FEED"}', 'schema_mismatch', '/command_id'],
      ['[]', 'schema_mismatch', '/command_id'],
      [JSON.stringify(seedCommand('x'.repeat(256))), 'schema_mismatch', '/command_id'],
      [JSON.stringify({ ...seedCommand('a'), command_id: 5 }), 'schema_mismatch', '/command_id'],
    ] as const) {
      const { disk, clock, acts, acks, ignored, handle } = begin();
      const handled = handle(payload);
      assert.equal(await isDone(handled), false);
      await disk.settle();
      clock.advance(1_000);
      await handle(payload, { resumedAt: clock.now() });
      assert.deepEqual(
        disk.letters.map((letter) => [letter.protocol, letter.code, letter.pointer, String(letter.payload)]),
        [['device', code, pointer, payload]],
      );
      assert.deepEqual([acts.length, acks.length], [0, 0]);
      assert.deepEqual(
        ignored.map(({ reason }) => reason),
        ['unreadable', 'unreadable'],
      );
    }
  });

  it('leaves alone what comes on another topic', async () => {
    const { ignored, acts, handle } = begin();
    await handle(seedCommand('a'), { topic: 'devices/another/commands' });
    assert.deepEqual([acts.length, ignored[0]?.reason], [0, 'foreign']);
  });

  it('answers "outcome unknown" where a write that failed was on disk all the same', async () => {
    const { disk, acts, acks, handle } = begin();
    const handled = handle(seedCommand('a'));
    await setImmediate();
    const failed = assert.rejects(handled, /the answer was lost/);
    await disk.loseAnswer();
    await failed;
    void handle(seedCommand('a'));
    await disk.settle();
    assert.deepEqual([acts.length, acks[0]?.message], [0, 'outcome unknown']);
  });

  it('takes nothing any more once closed, and leaves no timer', async () => {
    const { disk, clock, responder, acts, handle } = begin({ answerTimeoutMs: 1_000 });
    void handle(seedCommand('a'));
    await disk.settle();
    const late = handle(seedCommand('b'));
    const rejected = assert.rejects(late, { code: 'link_closed' });
    await responder.close();
    await rejected;
    assert.equal(disk.rows.has('b'), false);
    assert.equal(acts.length, 1);
    assert.equal(clock.timers, 0);
  });

  it('names a parameter schema that is none', () => {
    assert.throws(() => begin({ checks: { parameterSchemas: { FEED: { type: 'many' } } } }), {
      code: 'invalid_setting',
      message: /parameter schema of FEED/,
    });
  });

  it('has the topics of the document, with a prefix before them, or others', () => {
    assert.deepEqual(TOPICS, {
      commands: 'devices/AA:BB:CC:DD:EE:FF/commands',
      ack: 'devices/AA:BB:CC:DD:EE:FF/ack',
    });
    assert.equal(responderTopics('d', 'farm/').ack, 'farm/devices/d/ack');
    assert.deepEqual(
      responderTopics('d', '', { commands: 'ff/{device_id}/do', ack: 'ff/{device_id}/done' }),
      {
        commands: 'ff/d/do',
        ack: 'ff/d/done',
      },
    );
    assert.throws(() => responderTopics('a/+'), { code: 'invalid_topic_parameter' });
  });
});
