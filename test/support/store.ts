import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore, type StoreOptions } from '../../lib/store/open.js';
import { prepare } from '../../lib/store/prepared.js';
import type { Statement, Store } from '../../lib/store/store.js';
import { newDatabase } from './database.js';

const undo: (() => Promise<unknown>)[] = [];

/** Gives back, newest first, all that the functions below have made; for `afterEach`. */
export async function cleanUp(): Promise<void> {
  for (const step of undo.splice(0).reverse()) await step();
}

export function later(step: () => Promise<unknown>): void {
  undo.push(step);
}

/** A folder of its own, removed by `cleanUp`. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fieldloom-store-'));
  later(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

let server: string | undefined;

/** From now on temporary databases are made on this server; undefined: embedded ones. */
export function useServer(url: string | undefined): void {
  server = url;
}

/** A database of its own, which `cleanUp` removes. */
export async function temporaryUrl(): Promise<string> {
  if (server !== undefined) {
    const { url, drop } = await newDatabase(server);
    later(drop);
    return url;
  }
  return `sqlite:${join(await temporaryFolder(), 'fieldloom.db')}`;
}

/** A store that `cleanUp` closes; without a URL in a folder of its own. */
export async function opened(url?: string, options: StoreOptions = {}): Promise<Store> {
  const store = await openStore(url ?? (await temporaryUrl()), options);
  later(() => store.close());
  return store;
}

/** Statement that inserts one row of the table `setting`, whose key is `name`. */
export function settingInsert(store: Store): (name: string, value?: string) => Statement {
  const insert = prepare<{ name: string; value: string }>(store.db, (value, db) =>
    db.insertInto('setting').values({ name: value('name'), value: value('value') }),
  );
  return (name, value = '') => insert({ name, value });
}

/** All rows of the table `setting`, by name. */
export async function settings(store: Store): Promise<Record<string, string>> {
  const rows = await store.db.selectFrom('setting').selectAll().orderBy('name').execute();
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}

/** Fulfils when the store reaches `state`, rejects after the deadline. */
export function reaches(store: Store, state: Store['state'], deadlineMs = 10_000): Promise<void> {
  if (store.state === state) return Promise.resolve();
  return new Promise((fulfil, reject) => {
    const timer = setTimeout(() => {
      stop();
      reject(new Error(`the store is ${store.state}, not ${state}, after ${deadlineMs} ms`));
    }, deadlineMs);
    const stop = store.onState((now) => {
      if (now !== state) return;
      clearTimeout(timer);
      stop();
      fulfil();
    });
  });
}
