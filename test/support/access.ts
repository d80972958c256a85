import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Access, type AccessOptions } from '../../lib/access/access.js';
import { openStore } from '../../lib/store/open.js';
import type { Store } from '../../lib/store/store.js';

export const STORE = '6ba7b811-9dad-11d1-80b4-00c04fd430c8';
export const CONTROLLER = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';

/** A database file of its own, and any number of processes' worth of stores on it. */
export class AccessBench {
  readonly #closing: (() => Promise<void> | void)[] = [];

  private constructor(readonly directory: string) {}

  static async create(): Promise<AccessBench> {
    return new AccessBench(await mkdtemp(join(tmpdir(), 'fieldloom-access-')));
  }

  get url(): string {
    return `sqlite:${join(this.directory, 'fieldloom.db')}`;
  }

  async open(options: AccessOptions = {}): Promise<{ access: Access; store: Store }> {
    const store = await openStore(this.url);
    const access = await Access.open(store, options);
    this.#closing.push(async () => {
      access.close();
      await store.close();
    });
    return { access, store };
  }

  async remove(): Promise<void> {
    for (const close of this.#closing) await close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** A connection of an MQTT client. */
export const connect = (username?: string, password?: string, address = '10.0.0.1') => ({
  username,
  password: password === undefined ? undefined : Buffer.from(password),
  clientId: 'client',
  address,
});
