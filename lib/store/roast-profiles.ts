import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { type Clock, systemClock } from '../core/clock.js';
import { FieldloomError } from '../core/errors.js';
import type { ProfileSource } from '../roast/ports.js';
import type { Profile } from '../roast/profile.js';
import { profileOfJson, profileToJson } from '../roast/profile-json.js';
import { newId } from './ids.js';
import { type Page, type PageRequest, pageLimit, pageOf, readCursor } from './page.js';
import { placeholders, prepare } from './prepared.js';
import type { RoastProfileTable } from './roast-tables.js';
import type { Store } from './store.js';

const compress = promisify(gzip);
const expand = promisify(gunzip);

/** A saved profile without its samples. */
export interface ProfileEntry {
  readonly id: string;
  readonly name: string;
  /** Whose it is; null: everyone's. */
  readonly companyId: string | null;
  /** Null where it was imported. */
  readonly machineId: string | null;
  readonly sessionId: string | null;
  /** Epoch ms. */
  readonly startedAt: number | null;
  readonly durationMs: number;
  readonly createdAt: number;
}

/** Where a profile is from. */
export type ProfileOrigin = Pick<ProfileEntry, 'companyId' | 'machineId' | 'sessionId'>;

export interface Profiles extends ProfileSource {
  add(profile: Profile, of?: Partial<ProfileOrigin>): Promise<ProfileEntry>;
  find(profileId: string): Promise<{ entry: ProfileEntry; profile: Profile } | undefined>;
  /**
   * Newest first.
   * @param request `companies`: theirs, and what is everyone's; left out: all
   * @throws FieldloomError invalid_input
   */
  page(request?: PageRequest & { companies?: readonly string[] | undefined }): Promise<Page<ProfileEntry>>;
  /** @throws FieldloomError not_found */
  remove(profileId: string): Promise<void>;
}

const ENTRY = [
  'id',
  'name',
  'company_id',
  'machine_id',
  'session_id',
  'started_at',
  'duration_ms',
  'created_at',
] as const;

const entryOf = (row: Omit<RoastProfileTable, 'body'>): ProfileEntry => ({
  id: row.id,
  name: row.name,
  companyId: row.company_id,
  machineId: row.machine_id,
  sessionId: row.session_id,
  startedAt: row.started_at === null ? null : Number(row.started_at),
  durationMs: Number(row.duration_ms),
  createdAt: Number(row.created_at),
});

/** Saved profiles, each with its samples. */
export function roastProfiles(store: Store, { clock = systemClock }: { clock?: Clock } = {}): Profiles {
  const { db } = store;
  const insert = prepare<RoastProfileTable>(db, (value) =>
    db.insertInto('roast_profile').values(placeholders<'roast_profile'>(value, [...ENTRY, 'body'])),
  );
  const deletion = prepare<{ id: string }>(db, (value) =>
    db.deleteFrom('roast_profile').where('id', '=', value('id')),
  );
  const entryById = (id: string) =>
    db.selectFrom('roast_profile').select(ENTRY).where('id', '=', id).executeTakeFirst();

  const profiles: Profiles = {
    async add(profile, of) {
      const first = profile.samples[0]?.timeMs ?? 0;
      const row = {
        id: newId(),
        name: profile.title,
        company_id: of?.companyId ?? null,
        machine_id: of?.machineId ?? null,
        session_id: of?.sessionId ?? null,
        started_at: profile.startedAt,
        duration_ms: Math.round((profile.samples.at(-1)?.timeMs ?? 0) - first),
        created_at: clock.now(),
      };
      const body = await compress(JSON.stringify(profileToJson(profile)));
      await store.commit([insert({ ...row, body })]);
      return entryOf(row);
    },

    async find(id) {
      const row = await db.selectFrom('roast_profile').selectAll().where('id', '=', id).executeTakeFirst();
      if (row === undefined) return undefined;
      const body = await expand(row.body);
      return { entry: entryOf(row), profile: profileOfJson(JSON.parse(body.toString('utf8'))) };
    },

    async profile(id, companyId) {
      const found = await profiles.find(id);
      const isTheirs = found?.entry.companyId === null || found?.entry.companyId === companyId;
      return isTheirs ? found?.profile : undefined;
    },

    async page(request = {}) {
      const limit = pageLimit(request);
      let query = db
        .selectFrom('roast_profile')
        .select(ENTRY)
        .orderBy('id', 'desc')
        .limit(limit + 1);
      const { companies } = request;
      if (companies !== undefined) {
        query = query.where((is) => {
          const theirs = companies.length === 0 ? [] : [is('company_id', 'in', companies)];
          return is.or([is('company_id', 'is', null), ...theirs]);
        });
      }
      if (request.cursor !== undefined)
        query = query.where('id', '<', readCursor(request.cursor, 'string')[0]);
      return pageOf(await query.execute(), limit, entryOf, (row) => [row.id]);
    },

    async remove(id) {
      if ((await entryById(id)) === undefined) {
        throw new FieldloomError('not_found', `there is no profile ${JSON.stringify(id.slice(0, 64))}`);
      }
      await store.commit([deletion({ id })]);
    },
  };
  return profiles;
}
