import type { Asked } from './asked.js';
import type { ImageWire } from './firmware-wire.js';
import { sizeWords } from './firmware-words.js';
import { agoWords, exactTime, percentWords } from './words.js';

export type UploadState =
  | { kind: 'sending'; version: string; sent: number; size: number }
  | { kind: 'failed'; version: string; message: string }
  | { kind: 'done'; image: ImageWire };

export interface UploadView {
  look: 'open' | 'failed' | 'completed';
  text: string;
  /** 0 to 100 while it is on its way. */
  percent: number | undefined;
  imageId: string | undefined;
}

export interface ImageView {
  imageId: string;
  version: string;
  size: string;
  md5: string;
  sha256: string;
  signed: boolean;
  age: string;
  exact: string;
  by: string;
  removing: boolean;
  error: string;
}

export function imageViews(
  images: readonly ImageWire[],
  removals: ReadonlyMap<string, Asked>,
  now: number,
): ImageView[] {
  return images.map((image) => {
    const at = Date.parse(image.created_at);
    const asked = removals.get(image.id);
    return {
      imageId: image.id,
      version: image.version,
      size: sizeWords(image.file_size),
      md5: image.checksum,
      sha256: image.sha256,
      signed: image.signature !== null,
      age: agoWords(at, now),
      exact: exactTime(at),
      by: image.created_by ?? '',
      removing: asked?.kind === 'pending',
      error: asked?.kind === 'failed' ? asked.message : '',
    };
  });
}

export function uploadView(upload: UploadState): UploadView {
  switch (upload.kind) {
    case 'sending': {
      const share = upload.size === 0 ? 0 : upload.sent / upload.size;
      const whole = upload.sent >= upload.size;
      return {
        look: 'open',
        text: whole
          ? `Version ${upload.version}: the gateway checks and stores it …`
          : `Version ${upload.version}: ${percentWords(share)} of ${sizeWords(upload.size)} sent`,
        percent: Math.min(share, 1) * 100,
        imageId: undefined,
      };
    }
    case 'failed':
      return { look: 'failed', text: upload.message, percent: undefined, imageId: undefined };
    case 'done': {
      const { version, file_size: size, id } = upload.image;
      return {
        look: 'completed',
        text: `Version ${version} is stored: ${sizeWords(size)}.`,
        percent: undefined,
        imageId: id,
      };
    }
  }
}

/** The version that a file's name seems to say: `firmware-1-0-1.bin` is 1.0.1. Empty where it says none. */
export function versionOfName(name: string): string {
  const found = /(?:^|[^\d])v?(\d+(?:[.-]\d+)+(?:-(?:rc|beta|alpha)(?:\.?\d+)*)?)/i.exec(name);
  return found?.[1]?.replaceAll(/-(?=\d)/g, '.') ?? '';
}

/** What is wrong with an upload before it is sent; empty where nothing is. */
export function uploadProblem(
  file: { size: number } | undefined,
  version: string,
  known: readonly string[],
): string {
  if (file === undefined) return 'Choose the image file.';
  if (file.size === 0) return 'The file is empty.';
  if (version.trim() === '') return 'Say the version of the image.';
  if (version.trim().length > 64) return 'A version has 64 characters at most.';
  if (known.includes(version.trim())) {
    return `Version ${version.trim()} is there already: an image is never changed. Give the new one another version.`;
  }
  return '';
}
