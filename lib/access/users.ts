import { FieldloomError } from '../core/errors.js';
import type { Statement, Store } from '../store/store.js';
import type { AccessUserTable } from '../store/tables.js';
import { type Changes, statement } from './changes.js';
import { hashPassword, type PasswordHash, USER_COST } from './password.js';
import type { UserPrincipal } from './principal.js';

export interface UserRights {
  admin: boolean;
  /** Ids of stores and names of companies that the user belongs to. */
  stores: readonly string[];
  companies: readonly string[];
}

const NAME = /^[\p{L}\p{N}@.+_-]{1,64}$/u;
const LONGEST_PASSWORD_BYTES = 1024;
/** What fits a key of every database. */
const LONGEST_SCOPE = 255;

function bad(name: string, found: string, accepted: string): FieldloomError {
  return new FieldloomError('invalid_input', `${name} ${found}: accepted is ${accepted}`, {
    pointer: `/${name}`,
  });
}

function checkUser(name: string, password: string, rights: UserRights): void {
  if (!NAME.test(name)) {
    throw bad('name', `is ${JSON.stringify(name)}`, '1 to 64 letters, digits and @ . + - _');
  }
  if (password === '') throw bad('password', 'is empty', 'at least one character');
  if (Buffer.byteLength(password) > LONGEST_PASSWORD_BYTES) {
    throw bad('password', 'is too long', `at most ${LONGEST_PASSWORD_BYTES} bytes`);
  }
  checkRights(rights);
}

function checkRights({ stores, companies }: UserRights): void {
  for (const [name, values] of Object.entries({ stores, companies })) {
    for (const value of values) {
      if (value === '' || value.length > LONGEST_SCOPE) {
        throw bad(name, `has ${JSON.stringify(value)}`, `1 to ${LONGEST_SCOPE} characters each`);
      }
    }
  }
}

/** People and programs in the store. A user id is never given again, also after its user was revoked. */
export class Users {
  constructor(
    private readonly store: Store,
    private readonly changes: Changes,
  ) {}

  /** The user, unless revoked. */
  async find(userId: number): Promise<UserPrincipal | undefined> {
    const row = await this.store.db
      .selectFrom('access_user')
      .selectAll()
      .where('user_id', '=', userId)
      .where('revoked', '=', 0)
      .executeTakeFirst();
    return row === undefined ? undefined : this.#principal(row);
  }

  /** As `find`, with what a login is checked against. */
  async findByName(name: string): Promise<{ user: UserPrincipal; password: PasswordHash } | undefined> {
    const row = await this.store.db
      .selectFrom('access_user')
      .selectAll()
      .where('name', '=', name)
      .where('revoked', '=', 0)
      .executeTakeFirst();
    if (row === undefined || row.name !== name) return undefined;
    return {
      user: await this.#principal(row),
      password: { salt: row.salt, hash: row.hash, cost: Number(row.cost) },
    };
  }

  async list(): Promise<UserPrincipal[]> {
    const rows = await this.store.db
      .selectFrom('access_user')
      .selectAll()
      .where('revoked', '=', 0)
      .orderBy('user_id')
      .execute();
    return Promise.all(rows.map((row) => this.#principal(row)));
  }

  /** @throws FieldloomError invalid_input, conflict where the name is taken */
  async add(name: string, password: string, rights: UserRights): Promise<UserPrincipal> {
    checkUser(name, password, rights);
    const hashed = await hashPassword(password, USER_COST);
    const { db } = this.store;
    return this.changes.apply(async (at) => {
      const taken = await db
        .selectFrom('access_user')
        .select(['user_id', 'revoked'])
        .where('name', '=', name)
        .executeTakeFirst();
      if (taken !== undefined && Number(taken.revoked) === 0) {
        throw new FieldloomError('conflict', `there is a user ${name} already`);
      }
      const greatest = await db
        .selectFrom('access_user')
        .select((of) => of.fn.max('user_id').as('id'))
        .executeTakeFirst();
      const userId = Number(greatest?.id ?? 0) + 1;
      const row = {
        user_id: userId,
        name,
        ...hashed,
        admin: rights.admin ? 1 : 0,
        created_at: at,
        changed_at: at,
        revoked: 0,
      };
      const statements: Statement[] = [];
      if (taken !== undefined) {
        // The revoked one gives its name away but keeps its row, and with it its id.
        const former = `#${taken.user_id}`;
        const rename = db
          .updateTable('access_user')
          .set({ name: former })
          .where('user_id', '=', taken.user_id);
        statements.push(statement(rename.compile(), 1));
      }
      statements.push(
        statement(db.insertInto('access_user').values(row).compile(), 1),
        ...this.#scopes(userId, rights),
      );
      const result: UserPrincipal = {
        role: 'user',
        userId,
        username: name,
        admin: rights.admin,
        stores: [...new Set(rights.stores)],
        companies: [...new Set(rights.companies)],
      };
      return { statements, result };
    });
  }

  /** Replaces what a user may. @throws FieldloomError invalid_input, not_found */
  async setRights(name: string, rights: UserRights): Promise<void> {
    checkRights(rights);
    await this.#update(name, { admin: rights.admin ? 1 : 0 }, (userId) => this.#scopes(userId, rights));
  }

  /** Tokens of this user are refused from now on. @throws FieldloomError not_found */
  async revoke(name: string): Promise<void> {
    await this.#update(name, { revoked: 1 }, () => []);
  }

  /** Ids of users that were changed or revoked (not of new ones) after `from` and up to `to`. */
  async changed(from: number, to: number): Promise<number[]> {
    const rows = await this.store.db
      .selectFrom('access_user')
      .select('user_id')
      .where('changed_at', '>', from)
      .where('changed_at', '<=', to)
      .where((row) => row('changed_at', '>', row.ref('created_at')))
      .execute();
    return rows.map((row) => Number(row.user_id));
  }

  async #update(
    name: string,
    values: Partial<AccessUserTable>,
    further: (userId: number) => Statement[],
  ): Promise<void> {
    const { db } = this.store;
    await this.changes.apply(async (at) => {
      const found = await this.findByName(name);
      if (found === undefined) {
        throw new FieldloomError('not_found', `there is no user ${JSON.stringify(name)}`);
      }
      const { userId } = found.user;
      const update = db
        .updateTable('access_user')
        .set({ ...values, changed_at: at })
        .where('user_id', '=', userId);
      return { statements: [statement(update.compile(), 1), ...further(userId)], result: undefined };
    });
  }

  /** Replaces the scopes of a user. */
  #scopes(userId: number, { stores, companies }: UserRights): Statement[] {
    const { db } = this.store;
    const rows = [
      ...[...new Set(stores)].map((value) => ({ user_id: userId, kind: 'store', value })),
      ...[...new Set(companies)].map((value) => ({ user_id: userId, kind: 'company', value })),
    ];
    return [
      statement(db.deleteFrom('access_user_scope').where('user_id', '=', userId).compile()),
      ...rows.map((row) => statement(db.insertInto('access_user_scope').values(row).compile(), 1)),
    ];
  }

  async #principal(row: AccessUserTable): Promise<UserPrincipal> {
    const userId = Number(row.user_id);
    const scopes = await this.store.db
      .selectFrom('access_user_scope')
      .select(['kind', 'value'])
      .where('user_id', '=', userId)
      .orderBy('value')
      .execute();
    const of = (kind: string) => scopes.filter((scope) => scope.kind === kind).map(({ value }) => value);
    return {
      role: 'user',
      userId,
      username: row.name,
      admin: Number(row.admin) !== 0,
      companies: of('company'),
      stores: of('store'),
    };
  }
}
