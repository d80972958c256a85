import { join } from 'node:path';
import type { NodeAPI } from 'node-red';
import { secret } from '../../lib/access/secrets.js';
import { systemClock } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { createDownloads } from '../../lib/firmware/downloads.js';
import { imageFiles } from '../../lib/firmware/image-files.js';
import { createImages, type Image, imageOf } from '../../lib/firmware/images.js';
import { readPublicKey } from '../../lib/firmware/signature.js';
import { signQuery } from '../../lib/firmware/signed-url.js';
import { firmwareImageRows } from '../../lib/store/firmware-images.js';
import { defineNode } from '../runtime/define-node.js';
import { awaitReader } from '../runtime/health.js';
import { routes } from '../runtime/http.js';
import { addFigure } from '../runtime/metrics.js';
import { positiveNumber } from '../runtime/numbers.js';
import type { ProvidedStore } from '../store/store.js';
import { imageRoutes, type Opened } from './rest.js';

interface Config {
  store: string;
  directory: string;
  publicUrl: string;
  /** MiB. */
  maxSize: string;
  /** KiB a second, all downloads together; empty: no cap. */
  rate: string;
  downloads: string;
  /** An Ed25519 public key; empty: images need no signature. */
  verifyWith: string;
}

/** What a firmware files node offers to nodes that name it. */
export interface ProvidedFirmwareFiles {
  /** Undefined where there is no such image. @throws FieldloomError what the store throws */
  image(imageId: string): Promise<Image | undefined>;
  /**
   * A link to the image's file that is good until then. @param expiresAt epoch ms
   * @throws FieldloomError store_unavailable while the node starts
   */
  url(imageId: string, expiresAt: number): string;
  /**
   * Asks before an image is removed: `needed` answers why it may not be, or undefined.
   * @returns what ends it
   */
  holdBack(needed: (imageId: string) => Promise<string | undefined>): () => void;
}

const KIB = 1024;
const MIB = 1024 * KIB;

function checkedUrl(text: string | undefined): string {
  const parsed = URL.canParse(text ?? '') ? new URL(text as string) : undefined;
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') return parsed.href.replace(/\/+$/, '');
  throw new FieldloomError(
    'invalid_setting',
    `public URL is ${JSON.stringify(text ?? '')}: accepted is the http or https URL that controllers reach this gateway by`,
  );
}

const optionalNumber = (name: string, text: string | undefined) =>
  text === undefined || String(text).trim() === '' ? undefined : positiveNumber(name, text, 0);

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-firmware-files', ({ config, log, closed, provide, use }) => {
    const { store } = use<ProvidedStore>(config.store, 'store');
    const publicUrl = checkedUrl(config.publicUrl);
    const userDirectory = (RED.settings as { userDir?: string }).userDir ?? '.';
    const directory = config.directory || join(userDirectory, 'firmware');
    const maxBytes = positiveNumber('largest image', config.maxSize, 1024) * MIB;
    const rate = optionalNumber('rate', config.rate);
    const limits = {
      bytesPerSecond: rate && rate * KIB,
      maxDownloads: positiveNumber('downloads', config.downloads, 100),
    };
    const publicKey = config.verifyWith ? readPublicKey(config.verifyWith) : undefined;
    const files = imageFiles(directory);
    const downloads = createDownloads(limits, systemClock);

    async function open(): Promise<Opened> {
      const rows = firmwareImageRows(await store);
      const images = createImages({ rows, files, clock: systemClock, maxBytes, publicKey });
      const swept = await images.start();
      if (swept > 0) log.warn(`${swept} unfinished firmware files of an earlier run were removed`);
      return { rows, files, images, downloads, secret: await secret(directory, 'url-secret') };
    }
    const opening = open();
    // Whoever waits for it is told; nobody has to.
    opening.catch(() => {});
    awaitReader(opening, closed);
    let opened: Opened | undefined;
    const whenOpen = () => {
      if (opened === undefined) throw new FieldloomError('store_unavailable', 'the store is not open yet');
      return opened;
    };
    const url = (imageId: string, expiresAt: number) =>
      `${publicUrl}/firmware/images/${imageId}/file?${signQuery(whenOpen().secret, imageId, expiresAt)}`;

    const provided: ProvidedFirmwareFiles = {
      async image(imageId) {
        const record = await (await opening).images.get(imageId);
        return record && imageOf(record);
      },
      url,
      holdBack(needed) {
        let release = () => {};
        let released = false;
        opening.then(
          ({ images }) => {
            if (!released) release = images.holdBack(needed);
          },
          () => {},
        );
        return () => {
          released = true;
          release();
        };
      },
    };
    provide(provided);
    const disposals = [
      // At once: whoever asks too early is told to come again, not that there is nothing.
      routes(RED).add(imageRoutes({ opened: whenOpen, url, clock: systemClock })),
      addFigure({
        name: 'fieldloom_firmware_downloads',
        help: 'Downloads of firmware images under way',
        read: () => [{ value: downloads.active }],
      }),
    ];

    return {
      async start() {
        opened = await opening;
      },
      async close() {
        for (const dispose of disposals) dispose();
        await opened?.images.close();
      },
    };
  });
};
