import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FieldloomError } from '../../lib/core/errors.js';
import type { Driver, Unit, UnitResult } from '../../lib/store/driver.js';
import { GroupCommit } from '../../lib/store/group-commit.js';
import type { StoreState } from '../../lib/store/store.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';

const unit = (name: string): Unit => [{ sql: name, parameters: [] }];
const away = () => new FieldloomError('store_unavailable', 'the disk is full');

/** A driver whose batches end when the test says so. */
function scripted() {
  const batches: { names: string[]; commit(results?: UnitResult[]): void; fail(error?: Error): void }[] = [];
  const driver: Pick<Driver, 'commit'> = {
    commit: (units) =>
      new Promise((fulfil, reject) => {
        batches.push({
          names: units.map(([statement]) => statement?.sql ?? ''),
          commit: (results = []) => fulfil(results),
          fail: (error = away()) => reject(error),
        });
      }),
  };
  return { driver: driver as Driver, batches };
}

const turn = () => new Promise<void>((fulfil) => setImmediate(fulfil));

function committing(driver: Driver, clock: FakeClock = fakeClock()) {
  const states: string[] = [];
  const commits = new GroupCommit(driver, clock, (state: StoreState) => states.push(state));
  return { commits, clock, states };
}

describe('group commit', () => {
  it('puts all units of one turn into one batch, in their order', async () => {
    const { driver, batches } = scripted();
    const { commits } = committing(driver);
    const all = ['a', 'b', 'c'].map((name) => commits.commit(unit(name)));
    await turn();
    assert.deepEqual(
      batches.map(({ names }) => names),
      [['a', 'b', 'c']],
    );
    batches[0]?.commit();
    await Promise.all(all);
  });

  it('puts what comes while a batch is written into the next one', async () => {
    const { driver, batches } = scripted();
    const { commits } = committing(driver);
    const first = commits.commit(unit('a'));
    await turn();
    const others = ['b', 'c'].map((name) => commits.commit(unit(name)));
    await turn();
    assert.equal(batches.length, 1);
    batches[0]?.commit();
    await first;
    assert.deepEqual(batches[1]?.names, ['b', 'c']);
    batches[1]?.commit();
    await Promise.all(others);
    assert.equal(commits.pending, 0);
  });

  it('rejects the unit that is void and no other', async () => {
    const { driver, batches } = scripted();
    const { commits } = committing(driver);
    const all = Promise.allSettled(['a', 'b', 'c'].map((name) => commits.commit(unit(name))));
    await turn();
    batches[0]?.commit([undefined, new FieldloomError('store_conflict', 'changed'), undefined]);
    assert.deepEqual(
      (await all).map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
  });

  it('keeps order, loses none and writes none twice, whichever batches fail', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ size: fc.integer({ min: 1, max: 600 }), fails: fc.nat(2) }), {
          minLength: 1,
          maxLength: 6,
        }),
        async (rounds) => {
          const written: string[] = [];
          let failing = 0;
          let broken = false;
          const clock = fakeClock();
          const inFlight: (() => void)[] = [];
          const driver = {
            commit: (units: readonly Unit[]) =>
              new Promise<UnitResult[]>((fulfil, reject) => {
                inFlight.push(() => {
                  if (broken || failing > 0) {
                    failing -= broken ? 0 : 1;
                    // As the driver promises: what was sent before the failure was known fails too.
                    broken = inFlight.length > 0;
                    reject(away());
                    return;
                  }
                  for (const [statement] of units) written.push(statement?.sql ?? '');
                  fulfil([]);
                });
              }),
          } as unknown as Driver;
          const { commits, states } = committing(driver, clock);
          const expected: string[] = [];
          const promises: Promise<void>[] = [];
          for (const { size, fails } of rounds) {
            failing += fails;
            for (let index = 0; index < size; index += 1) {
              const name = `u${expected.length}`;
              expected.push(name);
              promises.push(commits.commit(unit(name)));
            }
            await turn();
          }
          while (commits.pending > 0) {
            inFlight.shift()?.();
            await turn();
            if (inFlight.length === 0) clock.advance(10_000);
            await turn();
          }
          await Promise.all(promises);
          assert.deepEqual(written, expected);
          assert.notEqual(states.at(-1), 'unavailable');
        },
      ),
      { numRuns: 50 },
    );
  });

  it('says once that the database is away, and once that it is back', async () => {
    const { driver, batches } = scripted();
    const { commits, clock, states } = committing(driver);
    const waiting = commits.commit(unit('a'));
    await turn();
    for (let attempt = 0; attempt < 3; attempt += 1) {
      batches[attempt]?.fail();
      await turn();
      clock.advance(60_000);
    }
    assert.deepEqual(states, ['unavailable']);
    batches[3]?.commit();
    await waiting;
    assert.deepEqual(states, ['unavailable', 'open']);
  });

  it('tries again later and later', async () => {
    const { driver, batches } = scripted();
    const { commits, clock } = committing(driver);
    const waiting = commits.commit(unit('a'));
    await turn();
    const attemptsWithin = async (ms: number) => {
      const before = batches.length;
      for (let passed = 0; passed < ms; passed += 10) {
        batches.at(-1)?.fail();
        await turn();
        clock.advance(10);
      }
      return batches.length - before;
    };
    const early = await attemptsWithin(1_000);
    await attemptsWithin(9_000);
    const late = await attemptsWithin(1_000);
    assert.ok(early >= 3 && late <= 1, `${early} attempts in the first second, ${late} in the eleventh`);
    clock.advance(10_000);
    batches.at(-1)?.commit();
    await waiting;
  });

  it('closing commits what waits, and refuses what comes after', async () => {
    const { driver, batches } = scripted();
    const { commits } = committing(driver);
    const waiting = commits.commit(unit('a'));
    const closing = commits.close();
    await assert.rejects(commits.commit(unit('b')), { code: 'store_closed' });
    batches[0]?.commit();
    await Promise.all([waiting, closing]);
  });

  it('closing while the database is away tries once more, then rejects what waits', async () => {
    const { driver, batches } = scripted();
    const { commits } = committing(driver);
    const waiting = assert.rejects(commits.commit(unit('a')), { code: 'store_closed' });
    await turn();
    batches[0]?.fail();
    await turn();
    const closing = commits.close();
    assert.equal(batches.length, 2);
    batches[1]?.fail();
    await Promise.all([waiting, closing]);
  });
});
