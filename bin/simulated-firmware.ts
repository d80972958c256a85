import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { systemClock } from '../lib/core/clock.js';
import { imageFiles } from '../lib/firmware/image-files.js';
import { createImages } from '../lib/firmware/images.js';
import { firmwareImageRows } from '../lib/store/firmware-images.js';
import type { Store } from '../lib/store/store.js';

/** What the simulated controllers can be brought to; they begin with 1.0.0. */
const VERSION = '1.1.0';
const BYTES = 256 * 1024;

/** Bytes as a firmware image has them, which cannot be packed; the same ones each time, so that ours is known again. */
function sampleImage(): Buffer {
  const pieces = Array.from({ length: BYTES / 32 }, (_, index) =>
    createHash('sha256').update(`Fieldloom sample firmware ${VERSION}, piece ${index}`).digest(),
  );
  return Buffer.concat(pieces);
}

async function* inPieces(content: Buffer): AsyncGenerator<Uint8Array> {
  yield content;
}

/**
 * Makes the image for the simulated controllers, once; without simulation it goes.
 * @param directory of the gateway, where the flows keep their images
 * @returns its id where this start has made it
 */
export async function prepareSimulatedImage(
  store: Store,
  directory: string,
  simulate: boolean,
): Promise<string | undefined> {
  const rows = firmwareImageRows(store);
  const present = await rows.ofVersion(VERSION);
  if (simulate === (present !== undefined)) return undefined;
  const content = sampleImage();
  const sha256 = createHash('sha256').update(content).digest('hex');
  const files = imageFiles(join(directory, 'firmware'));
  const images = createImages({ rows, files, clock: systemClock, maxBytes: BYTES });
  await images.start();
  try {
    if (present === undefined) {
      return (await images.add({ version: VERSION, content: inPieces(content) })).imageId;
    }
    // One of that version that somebody else has uploaded stays.
    if (present.sha256 === sha256) await images.remove(present.imageId);
    return undefined;
  } finally {
    await images.close();
  }
}
