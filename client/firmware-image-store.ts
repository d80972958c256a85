import { type Api, ApiError, asApiError, refusalText } from './api.js';
import type { Asked } from './asked.js';
import type { UploadState } from './firmware-images.js';
import type { ImageWire } from './firmware-wire.js';
import type { ListWire } from './lists.js';

export interface Images {
  /** Newest first; undefined until the gateway has told them. */
  list: readonly ImageWire[] | undefined;
  upload: UploadState | undefined;
  /** By image. */
  removals: ReadonlyMap<string, Asked>;
}

export const NO_IMAGES: Images = { list: undefined, upload: undefined, removals: new Map() };

export interface ImageStorePorts {
  api: Api;
  changed(images: Images): void;
  /** The gateway wants a login first: then `again` does it. */
  loggedOut(again: () => Promise<void>): void;
}

const PAGE = 200;
const ADMINISTRATORS = 'Only an administrator may do this.';

/** The images of the gateway as the page knows them, and what a person does with them. */
export class ImageStore {
  private images = NO_IMAGES;
  private sending: AbortController | undefined;
  /** Counts logins: an answer to the one before is nobody's any more. */
  private session = 0;

  constructor(private readonly ports: ImageStorePorts) {}

  /** @throws ApiError */
  async load(): Promise<void> {
    const { session } = this;
    const list = (await this.ports.api.request(`firmware/images?limit=${PAGE}`)) as ListWire<ImageWire>;
    if (session === this.session) this.change({ list: list.items });
  }

  async upload(file: Blob, version: string): Promise<void> {
    if (this.sending !== undefined) return;
    const { api, loggedOut } = this.ports;
    const sending = new AbortController();
    const show = (sent: number) =>
      this.change({ upload: { kind: 'sending', version, sent, size: file.size } });
    this.sending = sending;
    show(0);
    try {
      if (!api.loggedIn) throw new ApiError(401, 'unauthenticated', 'Uploading wants a login.');
      // A login that has expired is refreshed by this: the file is sent once.
      await api.request('firmware/images?limit=1');
      const path = `firmware/images?version=${encodeURIComponent(version)}`;
      const image = (await api.upload(path, file, { signal: sending.signal, onProgress: show })) as ImageWire;
      this.change({ upload: { kind: 'done', image }, list: [image, ...(this.images.list ?? [])] });
    } catch (error) {
      const { status, message } = asApiError(error);
      const text = sending.signal.aborted
        ? 'Broken off: nothing was stored.'
        : refusalText(status, message, ADMINISTRATORS);
      this.change({ upload: { kind: 'failed', version, message: text } });
      if (status === 401) loggedOut(() => this.upload(file, version));
    } finally {
      this.sending = undefined;
    }
  }

  breakOff(): void {
    this.sending?.abort();
  }

  async remove(imageId: string): Promise<void> {
    this.removal(imageId, { kind: 'pending' });
    try {
      await this.ports.api.request(`firmware/images/${encodeURIComponent(imageId)}`, { method: 'DELETE' });
      this.change({ list: this.images.list?.filter(({ id }) => id !== imageId) });
      this.removal(imageId, undefined);
    } catch (error) {
      const { status, message } = asApiError(error);
      this.removal(imageId, { kind: 'failed', message: refusalText(status, message, ADMINISTRATORS) });
      if (status === 401) this.ports.loggedOut(() => this.remove(imageId));
    }
  }

  /** Nothing of a login stays when it ends. */
  forget(): void {
    this.session += 1;
    this.breakOff();
    this.change(NO_IMAGES);
  }

  private removal(imageId: string, asked: Asked | undefined): void {
    const removals = new Map(this.images.removals);
    if (asked === undefined) removals.delete(imageId);
    else removals.set(imageId, asked);
    this.change({ removals });
  }

  private change(part: Partial<Images>): void {
    this.images = { ...this.images, ...part };
    this.ports.changed(this.images);
  }
}
