import { FieldloomError } from '../core/errors.js';
import type { Store } from '../store/store.js';
import type { AccessClientTable } from '../store/tables.js';
import { type Changes, statement } from './changes.js';
import { type Client, type ClientIdentity, type Login, newUsername } from './client.js';
import { hashPassword, mosquittoHash, newSecret, type PasswordHash, SECRET_COST } from './password.js';
import type { MqttPrincipal } from './principal.js';

/** A login as it is checked. */
export interface StoredClient extends Client {
  password: PasswordHash;
  revoked: boolean;
}

function principalOf(row: AccessClientTable): MqttPrincipal {
  const { username } = row;
  switch (row.role) {
    case 'machine':
      return { role: 'machine', username, company: row.company ?? '', machine: row.machine ?? '' };
    case 'controller':
      return {
        role: 'controller',
        username,
        storeId: row.store_id ?? '',
        controllerId: row.controller_id ?? '',
      };
    case 'device':
      return { role: 'device', username, device: row.device ?? '' };
    case 'service':
      return { role: 'service', username };
    default:
      throw new FieldloomError('internal', `login ${username} has role ${row.role}, which nobody knows`);
  }
}

const storedClient = (row: AccessClientTable): StoredClient => ({
  principal: principalOf(row),
  createdAt: Number(row.created_at),
  changedAt: Number(row.changed_at),
  password: { salt: row.salt, hash: row.hash, cost: Number(row.cost) },
  revoked: Number(row.revoked) !== 0,
});

const columnsOf = (identity: ClientIdentity) => ({
  role: identity.role,
  store_id: identity.role === 'controller' ? identity.storeId : null,
  controller_id: identity.role === 'controller' ? identity.controllerId : null,
  company: identity.role === 'machine' ? identity.company : null,
  machine: identity.role === 'machine' ? identity.machine : null,
  device: identity.role === 'device' ? identity.device : null,
});

/** All that is kept of a password. */
async function hashesOf(password: string) {
  const hashed = await hashPassword(password, SECRET_COST);
  return { ...hashed, mosquitto_hash: await mosquittoHash(password) };
}

/** A name that some database refuses to look for is nobody's. */
const UNKNOWN_NAME = /[\0\p{Surrogate}]/u;

/** A login as Mosquitto is told of it. */
export interface MosquittoLogin {
  principal: MqttPrincipal;
  /** Undefined: the login is older than these hashes, and has to be rotated first. */
  hash: string | undefined;
}

/** MQTT logins in the store. A user name is never given again, also after its login was revoked. */
export class Clients {
  constructor(
    private readonly store: Store,
    private readonly changes: Changes,
  ) {}

  async find(username: string): Promise<StoredClient | undefined> {
    if (UNKNOWN_NAME.test(username)) return undefined;
    const row = await this.store.db
      .selectFrom('access_client')
      .selectAll()
      .where('username', '=', username)
      .executeTakeFirst();
    return row === undefined || row.username !== username ? undefined : storedClient(row);
  }

  /** Logins that are not revoked, newest first. @param before `createdAt` of the last one already seen */
  async list({ limit, before }: { limit?: number; before?: number } = {}): Promise<Client[]> {
    let query = this.store.db
      .selectFrom('access_client')
      .selectAll()
      .where('revoked', '=', 0)
      .orderBy('created_at', 'desc');
    if (before !== undefined) query = query.where('created_at', '<', before);
    if (limit !== undefined) query = query.limit(limit);
    const rows = await query.execute();
    return rows.map((row) => {
      const { principal, createdAt, changedAt } = storedClient(row);
      return { principal, createdAt, changedAt };
    });
  }

  /** All logins that are not revoked, in the order of their names. */
  async mosquittoLogins(): Promise<MosquittoLogin[]> {
    const rows = await this.store.db
      .selectFrom('access_client')
      .selectAll()
      .where('revoked', '=', 0)
      .orderBy('username')
      .execute();
    return rows.map((row) => ({ principal: principalOf(row), hash: row.mosquitto_hash ?? undefined }));
  }

  /** @throws FieldloomError conflict where this machine, controller or device has a login; `details.username` names it */
  async add(identity: ClientIdentity): Promise<Login> {
    const password = newSecret();
    const hashed = await hashesOf(password);
    return this.changes.apply(async (at) => {
      const present = identity.role === 'service' ? undefined : await this.#loginOf(identity);
      if (present !== undefined) {
        throw new FieldloomError(
          'conflict',
          `this ${identity.role} has the login ${present} already: rotate it for a new password, or revoke it first`,
          { details: { username: present } },
        );
      }
      const username = newUsername(identity);
      const row = {
        username,
        ...columnsOf(identity),
        ...hashed,
        created_at: at,
        changed_at: at,
        revoked: 0,
      };
      const insert = this.store.db.insertInto('access_client').values(row).compile();
      return { statements: [statement(insert, 1)], result: { username, password } };
    });
  }

  /** A new password for a login. @throws FieldloomError not_found */
  async rotate(username: string): Promise<Login> {
    const password = newSecret();
    const hashed = await hashesOf(password);
    await this.#update(username, hashed);
    return { username, password };
  }

  /** @throws FieldloomError not_found */
  async revoke(username: string): Promise<void> {
    await this.#update(username, { revoked: 1 });
  }

  /** User names of logins that were rotated or revoked (not of new ones) after `from` and up to `to`. */
  async changed(from: number, to: number): Promise<string[]> {
    const rows = await this.store.db
      .selectFrom('access_client')
      .select('username')
      .where('changed_at', '>', from)
      .where('changed_at', '<=', to)
      .where((row) => row('changed_at', '>', row.ref('created_at')))
      .execute();
    return rows.map(({ username }) => username);
  }

  async #update(username: string, values: Partial<AccessClientTable>): Promise<void> {
    await this.changes.apply(async (at) => {
      const client = await this.find(username);
      if (client === undefined || client.revoked) {
        const found = client === undefined ? 'there is no login' : 'revoked already is login';
        throw new FieldloomError('not_found', `${found} ${JSON.stringify(username)}`);
      }
      const update = this.store.db
        .updateTable('access_client')
        .set({ ...values, changed_at: at })
        .where('username', '=', username)
        .compile();
      return { statements: [statement(update, 1)], result: undefined };
    });
  }

  async #loginOf(identity: ClientIdentity): Promise<string | undefined> {
    let query = this.store.db.selectFrom('access_client').select('username').where('revoked', '=', 0);
    for (const [column, value] of Object.entries(columnsOf(identity))) {
      if (value !== null) query = query.where(column as keyof AccessClientTable, '=', value);
    }
    return (await query.executeTakeFirst())?.username;
  }
}
