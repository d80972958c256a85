import assert from 'node:assert/strict';
import fc from 'fast-check';
import { actionsOf, deploymentActions } from '../../client/firmware-actions.js';
import {
  addStage,
  checkDraft,
  type Draft,
  type DraftStage,
  fieldOf,
  foundIn,
  newDraft,
} from '../../client/firmware-draft.js';
import { firmwareFirstSteps } from '../../client/firmware-first-steps.js';
import { imageViews, uploadProblem, uploadView, versionOfName } from '../../client/firmware-images.js';
import { stageViews, waitsWords } from '../../client/firmware-stages.js';
import { timelineView } from '../../client/firmware-timeline.js';
import {
  DEPLOYMENT_STATES,
  eventWords,
  noteOf,
  rolloutEventWords,
  sizeWords,
} from '../../client/firmware-words.js';
import { parseRolloutRequest, ROLLOUT_DEFAULTS } from '../../lib/firmware/plan.js';
import {
  controllerOf,
  deploymentWire,
  imageWire,
  rolloutWire,
  STORE,
  stageWire,
} from '../support/firmware-wire.js';

const T = Date.parse('2026-03-01T10:00:00Z');
const iso = (at: number) => new Date(at).toISOString();
const keys = (count: number) =>
  Array.from({ length: count }, (_, index) => `${STORE}/${controllerOf(index + 1)}`);

describe('page Firmware, in words', () => {
  describe('what a rollout waits for', () => {
    for (const [what, part, expected] of [
      ['a draft', { state: 'DRAFT', waits_for: null }, /^A draft: nothing is sent/],
      ['a person', { state: 'WAITING_APPROVAL', waits_for: 'approval', stage: 1 }, /approval of stage 2\.$/],
      [
        'the flow behind the gate',
        { waits_for: 'gate' },
        /^Waits for the flow behind the gate of stage 1\.$/,
      ],
      [
        'a gate that has said why',
        { waits_for: 'gate', reason: 'too early' },
        /gate of stage 1: too early\.$/,
      ],
      ['its controllers', {}, /^Stage 1 of 2: 1 of 1 controller finished\.$/],
      [
        'a person after too many errors',
        { state: 'PAUSED', reason: 'stage 0: 1 of 1 failed' },
        /^Paused: stage 1: 1 of 1 failed\.$/,
      ],
      [
        'nothing: stopped',
        { state: 'ABORTED', reason: 'stage 1: 2 of 2 failed' },
        /^Stopped by itself: stage 2: /,
      ],
      [
        'nothing: cancelled',
        { state: 'CANCELLED', reason: 'cancelled by a person' },
        /^Cancelled by a person\.$/,
      ],
      ['nothing: completed', { state: 'COMPLETED' }, /^1 of 10 controllers run 1\.1\.0\.$/],
    ] as const) {
      it(`says ${what}`, () => assert.match(waitsWords(rolloutWire(T, part), T), expected));
    }

    it('says until when a stage soaks', () => {
      const rollout = rolloutWire(T, { waits_for: 'soak', wakes_at: iso(T + 90_000) });
      assert.match(waitsWords(rollout, T), /^Stage 1 soaks until \d\d:\d\d:30, 1 min more\.$/);
    });
  });

  describe('a stage', () => {
    it('is a bar of what its controllers do, with both thresholds in it', () => {
      const counts = { COMPLETED: 5, IN_PROGRESS: 1, SCHEDULED: 1, CANCELLED: 1, FAILED: 1, TIMED_OUT: 1 };
      const stages = [stageWire(10, counts, { success_threshold: 0.9, error_threshold: 0.3 })];
      const [stage] = stageViews(rolloutWire(T, { stages }), T);
      assert.deepEqual(
        stage?.segments.map(({ look, percent }) => [look, Math.round(percent)]),
        [
          ['completed', 50],
          ['open', 10],
          ['waiting', 10],
          ['out', 10],
          ['failed', 20],
        ],
      );
      // Shares are of the nine that are really asked: 8.1 and 2.7, counted up.
      assert.deepEqual([stage?.enough, stage?.tooMany], [90, 30]);
      assert.equal(stage?.terms, 'goes on at 9 of 9 completed, stops at 3 failures');
      assert.match(stage?.spoken ?? '', /^Stage 1, 10 controllers: 1 planned, 1 updating, 5 completed/);
    });

    it('stops at the first failure where its error threshold is 0, and never where too few could fail', () => {
      const of = (error_threshold: number, counts: object) =>
        stageViews(rolloutWire(T, { stages: [stageWire(2, counts, { error_threshold })] }), T)[0]?.terms;
      assert.equal(of(0, { SCHEDULED: 2 }), 'goes on at 2 of 2 completed, stops at 1 failure');
      assert.equal(of(1, { CANCELLED: 2 }), 'goes on at 0 of 0 completed, never stops by itself');
    });

    it('says whose turn it is', () => {
      const places = (part: object) => stageViews(rolloutWire(T, part), T).map(({ place }) => place);
      assert.deepEqual(places({ stage: 1 }), ['done', 'now']);
      assert.deepEqual(places({ stage: 1, waits_for: 'gate' }), ['done', 'ahead']);
      assert.deepEqual(places({ state: 'WAITING_APPROVAL' }), ['asks', 'ahead']);
      assert.deepEqual(places({ state: 'PAUSED' }), ['stopped', 'ahead']);
      assert.deepEqual(places({ state: 'DRAFT', started_at: null }), ['ahead', 'ahead']);
      assert.deepEqual(places({ state: 'COMPLETED', stage: 1 }), ['done', 'done']);
    });
  });

  describe('what can be pressed', () => {
    const actions = (part: object) => actionsOf(rolloutWire(T, part)).map(({ action }) => action);

    it('is what the rollout’s state allows', () => {
      assert.deepEqual(actions({ state: 'DRAFT' }), ['start', 'cancel']);
      assert.deepEqual(actions({}), ['pause', 'cancel']);
      assert.deepEqual(actions({ state: 'PAUSED' }), ['resume', 'cancel']);
      assert.deepEqual(actions({ state: 'WAITING_APPROVAL' }), ['approve', 'pause', 'cancel']);
      assert.deepEqual(actions({ state: 'ABORTED', stages: [stageWire(2, { FAILED: 1, CANCELLED: 1 })] }), [
        'retry',
      ]);
      assert.deepEqual(actions({ state: 'COMPLETED' }), []);
    });

    it('says its consequences in numbers', () => {
      const stages = [stageWire(13, { COMPLETED: 1, IN_PROGRESS: 2, SENT: 1, SCHEDULED: 9 })];
      const cancel = actionsOf(rolloutWire(T, { stages })).find(({ action }) => action === 'cancel');
      assert.deepEqual(cancel?.consequences, [
        '3 controllers under way are asked to stop.',
        '9 are not started.',
        '1 controller that completed keep 1.1.0.',
      ]);
      const approve = actionsOf(rolloutWire(T, { state: 'WAITING_APPROVAL' }))[0];
      assert.deepEqual(approve?.consequences, ['Stage 2 begins: 9 controllers more get 1.1.0.']);
    });

    it('of one controller is cancel, force where it is stuck, retry where it has failed and was not retried', () => {
      const of = (part: object) => deploymentActions(deploymentWire(T, 1, part)).map(({ action }) => action);
      assert.deepEqual(of({}), ['cancel']);
      assert.deepEqual(of({ state: 'IN_PROGRESS' }), ['cancel']);
      assert.deepEqual(of({ state: 'IN_PROGRESS', verifying: true }), []);
      assert.deepEqual(of({ state: 'CANCELLING' }), []);
      assert.deepEqual(of({ state: 'CANCELLING', stuck: true }), ['force']);
      assert.deepEqual(of({ state: 'FAILED' }), ['retry']);
      assert.deepEqual(of({ state: 'FAILED', retried_by: 'd-9' }), []);
    });
  });

  describe('a controller', () => {
    it('has a note of what is unusual', () => {
      assert.equal(noteOf(deploymentWire(T, 1)), '');
      assert.equal(
        noteOf(deploymentWire(T, 1, { state: 'SENT', waiting: true })),
        'controller offline: waits for it',
      );
      assert.equal(
        noteOf(deploymentWire(T, 1, { state: 'FAILED', errors: ['no room', 'no power'], retried_by: 'x' })),
        'tried again; no room; no power',
      );
    });

    it('has a timeline with the time between its steps', () => {
      const line = (ms: number, event: string, detail: string | null = null) => ({
        ...{ at: iso(T + ms), event, from: null, to: 'SENT', detail },
      });
      const history = [line(0, 'scheduled'), line(16_000, 'sent'), line(16_400, 'version_reported', '1.0.0')];
      const view = timelineView(deploymentWire(T, 1, { state: 'SENT', history }), T);
      assert.deepEqual(
        view.lines.map(({ text, after }) => [text, after]),
        [
          ['Planned', ''],
          ['Asked to update', '+ 16 s'],
          ['The controller reports its version: 1.0.0', ''],
        ],
      );
    });

    it('shows an event that this page does not know as it is', () => {
      assert.equal(
        eventWords({ at: iso(T), event: 'new_thing', from: null, to: 'SENT', detail: null }),
        'new thing',
      );
    });
  });

  it('tells a rollout’s history by what became of it', () => {
    const line = (event: string, from: string, to: string, detail: object) =>
      rolloutEventWords({ at: iso(T), event, from, to, detail: JSON.stringify(detail) });
    assert.equal(
      line('start', 'DRAFT', 'RUNNING', { stage: 0, phase: 'running', reason: null }),
      'Started: stage 1 begins',
    );
    assert.equal(
      line('counted', 'RUNNING', 'RUNNING', { stage: 0, phase: 'soaking', reason: null }),
      'Stage 1 has enough completed, soaks',
    );
    assert.equal(
      line('tick', 'RUNNING', 'WAITING_APPROVAL', { stage: 1, phase: 'approval', reason: null }),
      'Stage 2 waits for a person’s approval',
    );
    assert.equal(
      line('counted', 'RUNNING', 'ABORTED', { stage: 0, phase: 'running', reason: 'stage 0: 1 of 1 failed' }),
      'Aborted: stage 1: 1 of 1 failed',
    );
    assert.equal(
      line('pause', 'RUNNING', 'PAUSED', { stage: 0, phase: 'running', reason: 'lunch' }),
      'Paused by a person: lunch',
    );
  });

  describe('a new rollout', () => {
    const draft = (part: Partial<Draft> = {}): Draft => ({ ...newDraft('i-1'), ...part });
    const stage = (part: Partial<DraftStage>): DraftStage => ({
      ...(newDraft().stages[2] as DraftStage),
      ...part,
    });
    const problems = (part: Partial<Draft>, targets = 12) => checkDraft(draft(part), keys(targets)).problems;

    it('is one canary, 10 %, all, unless something else is typed; the gateway makes the same stages of it', () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 3000 }),
          fc.integer({ min: 1, max: 40 }),
          (targets, canaries) => {
            const stages = newDraft().stages.map((each, index) =>
              index === 0 ? { ...each, size: String(canaries) } : each,
            );
            const checked = checkDraft(draft({ stages }), keys(targets));
            assert.deepEqual(checked.problems, {});
            const { plan } = parseRolloutRequest(checked.request, ROLLOUT_DEFAULTS);
            const expected = checked.sent.map((index) => checked.stages[index]?.adds);
            assert.deepEqual(
              plan.stages.map((each) => each.targets),
              expected,
            );
            assert.equal(plan.stages[0]?.targets, Math.min(canaries, targets));
          },
        ),
        { numRuns: 60 },
      );
    });

    it('leaves a stage out that would add no controller, and says so', () => {
      const checked = checkDraft(draft(), keys(5));
      assert.deepEqual(
        checked.stages.map(({ words }) => words),
        ['1 controller', 'adds no controller: left out', '4 controllers more'],
      );
      const sent = checked.request?.['stages'] as object[] | undefined;
      assert.equal(sent?.length, 2);
      assert.deepEqual(checked.sent, [0, 2]);
    });

    it('sends what was typed, in the gateway’s units', () => {
      const { request } = checkDraft(
        draft({
          ...{ name: ' Spring ', rate: '2,5', maxInProgress: '10', deadlineMinutes: '5', verifyMinutes: '0' },
          ...{ supersede: true, forced: true, forceReason: 'back to the old one' },
          stages: [
            stage({ success: '90', error: '12.5', soakMinutes: '1', approval: true, onError: 'pause' }),
          ],
        }),
        keys(2),
      );
      assert.deepEqual(
        { ...request, targets: undefined },
        {
          ...{
            image_id: 'i-1',
            name: 'Spring',
            targets: undefined,
            rate_per_minute: 2.5,
            max_in_progress: 10,
          },
          ...{ deadline_s: 300, verify_s: 0, supersede: true, force: { reason: 'back to the old one' } },
          stages: [
            {
              ...{ percent: 100, success_threshold: 0.9, error_threshold: 0.125, on_error: 'pause' },
              ...{ soak_s: 60, approval: true },
            },
          ],
        },
      );
    });

    for (const [what, part, field] of [
      ['no image', { imageId: '' }, 'imageId'],
      ['a name that is too long', { name: 'x'.repeat(201) }, 'name'],
      ['a size that is no number', { stages: [stage({ size: 'all' })] }, 'stages.0.size'],
      ['a last stage that does not reach all', { stages: [stage({ size: '50' })] }, 'stages.0.size'],
      [
        'stages that shrink',
        { stages: [stage({ size: '50' }), stage({ size: '20' }), stage({})] },
        'stages.1.size',
      ],
      ['a share above 100 %', { stages: [stage({ success: '101' })] }, 'stages.0.success'],
      ['no error threshold', { stages: [stage({ error: '' })] }, 'stages.0.error'],
      ['a soak time below 0', { stages: [stage({ soakMinutes: '-1' })] }, 'stages.0.soakMinutes'],
      ['a rate of 0', { rate: '0' }, 'rate'],
      ['half a controller at once', { maxInProgress: '1.5' }, 'maxInProgress'],
      ['a lower version without a reason', { forced: true, forceReason: ' ' }, 'forceReason'],
    ] as const) {
      it(`is not sent with ${what}`, () => {
        assert.deepEqual(Object.keys(problems(part as Partial<Draft>)), [field]);
      });
    }

    it('is not sent without a controller', () => {
      assert.deepEqual(Object.keys(problems({}, 0)), ['targets']);
    });

    it('shows what the gateway refuses at its field, also where a stage was left out before it', () => {
      assert.equal(fieldOf('/stages/1/percent', [0, 2]), 'stages.2.size');
      assert.equal(fieldOf('/stages/0/error_threshold', [0, 2]), 'stages.0.error');
      assert.equal(fieldOf('/image_id', []), 'imageId');
      assert.equal(fieldOf('/targets/17/store_id', []), 'targets');
      assert.equal(fieldOf('/force/reason', []), 'forceReason');
      assert.equal(fieldOf('/unheard_of', []), undefined);
      assert.equal(fieldOf(undefined, []), undefined);
    });

    it('gets a further stage half-way to all', () => {
      assert.deepEqual(
        addStage(newDraft().stages).map(({ size }) => size),
        ['1', '10', '55', '100'],
      );
    });

    it('finds controllers by a part of their id, and a store’s all by its id', () => {
      const controllers = [1, 2].map((number) => ({
        key: '',
        controllerId: controllerOf(number),
        online: true,
      }));
      const store = { storeId: STORE, controllers };
      assert.equal(foundIn(store, '').length, 2);
      assert.equal(foundIn(store, '0002').length, 1);
      assert.equal(foundIn(store, STORE.slice(0, 8).toUpperCase()).length, 2);
    });
  });

  describe('an image', () => {
    it('is told with its size and its digests', () => {
      const [view] = imageViews(
        [imageWire(T)],
        new Map([['i-1', { kind: 'failed', message: 'in use' }]]),
        T + 60_000,
      );
      assert.deepEqual([view?.size, view?.age, view?.error], ['256 KiB', '1 min ago', 'in use']);
      assert.deepEqual([779, 1536, 5 * 2 ** 20, 3 * 2 ** 30].map(sizeWords), [
        '779 B',
        '1.5 KiB',
        '5 MiB',
        '3 GiB',
      ]);
    });

    it('takes its version from the name of its file where that says one', () => {
      assert.equal(versionOfName('firmware-1-0-1.bin'), '1.0.1');
      assert.equal(versionOfName('controller_v2.10.0-rc.1.bin'), '2.10.0-rc.1');
      assert.equal(versionOfName('firmware.bin'), '');
    });

    it('is not sent without a file, without a version, or with one that is there', () => {
      assert.match(uploadProblem(undefined, '1.0.0', []), /^Choose/);
      assert.match(uploadProblem({ size: 0 }, '1.0.0', []), /empty/);
      assert.match(uploadProblem({ size: 1 }, ' ', []), /^Say the version/);
      assert.match(uploadProblem({ size: 1 }, '1.0.0', ['1.0.0']), /is there already/);
      assert.equal(uploadProblem({ size: 1 }, '1.0.1', ['1.0.0']), '');
    });

    it('tells while it is sent how much of it has gone', () => {
      const sending = { kind: 'sending', version: '1.0.1', sent: 512, size: 2048 } as const;
      assert.equal(uploadView(sending).text, 'Version 1.0.1: 25 % of 2 KiB sent');
      assert.match(uploadView({ ...sending, sent: 2048 }).text, /the gateway checks and stores it/);
    });
  });

  it('says first what is missing', () => {
    const broker = { host: 'gateway', port: 1884 };
    const steps = (missing: { images: boolean; controllers: boolean }) =>
      firmwareFirstSteps(missing, broker, 'http://gateway:1880/', T);
    assert.equal(steps({ images: true, controllers: true }).length, 4);
    assert.equal(steps({ images: false, controllers: false }).length, 1);
    assert.match(
      steps({ images: true, controllers: false })[1]?.command ?? '',
      /"http:\/\/gateway:1880\/firmware\/images\?version=1\.0\.1"$/,
    );
  });

  it('has a word for every state', () => {
    assert.equal(DEPLOYMENT_STATES.length, 10);
  });
});
