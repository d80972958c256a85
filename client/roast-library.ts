import { type Api, asApiError } from './api.js';
import { traceOfProfile } from './roast-profile-trace.js';
import type { RoastTrace } from './roast-trace.js';
import type { ProfileHeadWire, ProfileWire } from './roast-wire.js';

/** A saved roast that was asked for: on its way, there, or why not. */
export interface LoadedProfile {
  id: string;
  profile: ProfileWire | undefined;
  trace: RoastTrace | undefined;
  problem: string;
}

export interface LibraryPorts {
  api: Api;
  changed(): void;
  failed(error: unknown): void;
  /** Hands a file to the person. */
  keepFile(name: string, content: string, type: string): void;
}

export type ExportFormat = 'alog' | 'csv' | 'json';

/** What a file brought, or why it did not. */
export interface ImportOutcome {
  file: string;
  name: string;
  problem: string;
}

const PAGE = 50;

interface ProfilesWire {
  items: ProfileHeadWire[];
  next_cursor: string | null;
}

/** Saved roasts: the list, and those that are looked at: as a background, opened, compared. */
export class RoastLibrary {
  heads: readonly ProfileHeadWire[] | undefined;
  more = false;
  background: LoadedProfile | undefined;
  opened: LoadedProfile | undefined;
  compared: LoadedProfile | undefined;
  imports: readonly ImportOutcome[] = [];
  importing = false;
  #cursor: string | null = null;
  /** Counts logins: an answer to the one before is nobody's any more. */
  #session = 0;
  #closed = false;

  constructor(private readonly ports: LibraryPorts) {}

  /** The newest ones, anew. */
  async load(): Promise<void> {
    await this.#loadFrom(null);
  }

  async loadMore(): Promise<void> {
    if (this.#cursor !== null) await this.#loadFrom(this.#cursor);
  }

  /** Draws a saved roast underneath. @param id undefined for none */
  async chooseBackground(id: string | undefined): Promise<void> {
    await this.#look('background', id);
  }
  async open(id: string | undefined): Promise<void> {
    this.compared = undefined;
    await this.#look('opened', id);
  }
  async compare(id: string | undefined): Promise<void> {
    await this.#look('compared', id);
  }

  /** @returns why it did not work, empty where it did */
  async remove(id: string): Promise<string> {
    try {
      await this.ports.api.request(`api/profiles/${encodeURIComponent(id)}`, { method: 'DELETE' });
    } catch (error) {
      return asApiError(error).message;
    }
    this.heads = this.heads?.filter((head) => head.id !== id);
    for (const name of ['background', 'opened', 'compared'] as const) {
      if (this[name]?.id === id) this[name] = undefined;
    }
    this.#changed();
    return '';
  }

  async keep(id: string, format: ExportFormat): Promise<string> {
    try {
      const path = `api/profiles/${encodeURIComponent(id)}/export?format=${format}`;
      const content = await this.ports.api.text(path);
      const name = this.heads?.find((head) => head.id === id)?.name ?? this.opened?.profile?.name ?? id;
      const type = { alog: 'text/plain', csv: 'text/csv', json: 'application/json' }[format];
      this.ports.keepFile(`${fileName(name)}.${format}`, content, type);
      return '';
    } catch (error) {
      return asApiError(error).message;
    }
  }

  /** Artisan .alog, CSV or JSON: the gateway tells by the content. */
  async import(files: readonly File[]): Promise<void> {
    this.importing = true;
    this.imports = [];
    this.#changed();
    for (const file of files) {
      const outcome = await this.#importOne(file);
      this.imports = [...this.imports, outcome];
      this.#changed();
    }
    this.importing = false;
    await this.load();
    this.#changed();
  }

  forget(): void {
    this.#session += 1;
    this.heads = undefined;
    this.background = this.opened = this.compared = undefined;
    this.imports = [];
  }

  close(): void {
    this.#closed = true;
  }

  async #importOne(file: File): Promise<ImportOutcome> {
    const name = file.name.replace(/\.(alog|csv|json)$/i, '');
    try {
      const head = (await this.ports.api.upload(`api/profiles?name=${encodeURIComponent(name)}`, file, {
        onProgress: () => {},
        signal: AbortSignal.timeout(60_000),
      })) as ProfileHeadWire;
      return { file: file.name, name: head.name, problem: '' };
    } catch (error) {
      return { file: file.name, name, problem: asApiError(error).message };
    }
  }

  async #look(name: 'background' | 'opened' | 'compared', id: string | undefined): Promise<void> {
    if (id === undefined) {
      this[name] = undefined;
      this.#changed();
      return;
    }
    this[name] = { id, profile: undefined, trace: undefined, problem: '' };
    this.#changed();
    const loaded = await this.#profile(id);
    // Another one may have been chosen meanwhile.
    if (this.#closed || this[name]?.id !== id) return;
    this[name] = loaded;
    this.#changed();
  }

  async #profile(id: string): Promise<LoadedProfile> {
    try {
      const profile = (await this.ports.api.request(`api/profiles/${encodeURIComponent(id)}`)) as ProfileWire;
      return { id, profile, trace: traceOfProfile(profile), problem: '' };
    } catch (error) {
      return { id, profile: undefined, trace: undefined, problem: asApiError(error).message };
    }
  }

  async #loadFrom(cursor: string | null): Promise<void> {
    const session = this.#session;
    const asked = `api/profiles?limit=${PAGE}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    try {
      const page = (await this.ports.api.request(asked)) as ProfilesWire;
      if (this.#closed || session !== this.#session) return;
      this.heads = [...(cursor === null ? [] : (this.heads ?? [])), ...page.items];
      this.#cursor = page.next_cursor;
      this.more = this.#cursor !== null;
      this.#changed();
    } catch (error) {
      if (session === this.#session) this.ports.failed(error);
    }
  }

  #changed(): void {
    if (!this.#closed) this.ports.changed();
  }
}

const fileName = (name: string) => name.replaceAll(/[^\p{L}\p{N}._-]+/gu, '-').slice(0, 80) || 'roast';
