import type { CompiledQuery } from 'kysely';
import type { Clock } from '../core/clock.js';
import { asError, FieldloomError, hasCode } from '../core/errors.js';
import type { SqlValue, Statement, Store } from '../store/store.js';

/** The row of `setting` whose value is the time of the last change of a login or a user. */
const REVISION = 'access.revision';
const MOST_TRIES = 50;

export const statement = (query: CompiledQuery, affects?: number): Statement => ({
  sql: query.sql,
  parameters: query.parameters as readonly SqlValue[],
  ...(affects === undefined ? {} : { affects }),
});

/** What a change is to write, decided from what is stored, and what it gives back. */
export interface Decision<T> {
  statements: readonly Statement[];
  result: T;
}

/**
 * Changes of logins and users, one after another over all processes: each moves the revision on, and is void where
 * another has moved it since its decision was made. So a decision may rest on what it has read, and `changed_at`
 * rises strictly in the order of the commits, whatever the clocks say: who remembers the last one it has seen finds
 * all later changes.
 */
export class Changes {
  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
  ) {}

  /** `changed_at` of the last change; 0 before the first. */
  async revision(): Promise<number> {
    const row = await this.store.db
      .selectFrom('setting')
      .select('value')
      .where('name', '=', REVISION)
      .executeTakeFirst();
    return Number(row?.value ?? 0);
  }

  /**
   * @param decide is told `at`, the `changed_at` of what it writes; it is asked again where another change came first
   * @throws what `decide` throws; FieldloomError store_conflict where others change without end
   */
  async apply<T>(decide: (at: number) => Promise<Decision<T>>): Promise<T> {
    const { db } = this.store;
    for (let attempt = 1; ; attempt += 1) {
      const before = await this.revision();
      const at = Math.max(this.clock.now(), before + 1);
      const { statements, result } = await decide(at);
      const first =
        before === 0
          ? statement(
              db
                .insertInto('setting')
                .values({ name: REVISION, value: String(at) })
                .compile(),
              1,
            )
          : statement(
              db
                .updateTable('setting')
                .set({ value: String(at) })
                .where('name', '=', REVISION)
                .where('value', '=', String(before))
                .compile(),
              1,
            );
      try {
        await this.store.commit([first, ...statements]);
        return result;
      } catch (error) {
        const overtaken = hasCode(error, 'store_conflict') || (await this.revision()) !== before;
        if (!overtaken) throw error;
        if (attempt >= MOST_TRIES) {
          throw new FieldloomError('store_conflict', 'logins are being changed by others all the time', {
            cause: asError(error),
          });
        }
      }
    }
  }
}
