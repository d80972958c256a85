import { type ChildProcess, fork } from 'node:child_process';
import { createHash, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { UserPrincipal } from '../../lib/access/principal.js';
import { systemClock } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { createDownloads, type DownloadLimits } from '../../lib/firmware/downloads.js';
import { imageFiles } from '../../lib/firmware/image-files.js';
import { createImages, type Images } from '../../lib/firmware/images.js';
import { signQuery } from '../../lib/firmware/signed-url.js';
import { firmwareImageRows } from '../../lib/store/firmware-images.js';
import { openStore } from '../../lib/store/open.js';
import { imageRoutes } from '../../nodes/firmware-files/rest.js';
import { addGuard } from '../../nodes/runtime/guard.js';
import { routes } from '../../nodes/runtime/http.js';
import { httpRuntime } from './runtime.js';

const SECRET = 'a secret of this test, of 32 characters';

export interface ImageServerOptions {
  maxBytes?: number;
  limits?: Partial<DownloadLimits>;
  publicKey?: KeyObject;
}

export interface ImageServer {
  url: string;
  images: Images;
  folder: string;
  errors: string[];
  /** The link to a file, as a command carries it. */
  link(imageId: string, expiresAt?: number): string;
  close(): Promise<void>;
}

const admin: UserPrincipal = {
  role: 'user',
  userId: 1,
  username: 'ann',
  admin: true,
  companies: [],
  stores: [],
};

/** The image routes on a real HTTP server, with a store and a folder of their own. Tokens: `ann` (admin), `bob`. */
export async function startImageServer({ maxBytes = 2 ** 30, limits, publicKey }: ImageServerOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'fieldloom-images-'));
  const store = await openStore(`sqlite:${join(folder, 'test.db')}`);
  const runtime = await httpRuntime();
  const files = imageFiles(join(folder, 'firmware'));
  const rows = firmwareImageRows(store);
  const images = createImages({ rows, files, clock: systemClock, maxBytes, publicKey });
  await images.start();
  const downloads = createDownloads({ maxDownloads: 100, ...limits }, systemClock);
  const link = (imageId: string, expiresAt = Date.now() + 60_000) =>
    `${runtime.url}/firmware/images/${imageId}/file?${signQuery(SECRET, imageId, expiresAt)}`;
  addGuard(runtime.RED, {
    mode: 'token',
    origins: [],
    async verify(token) {
      if (token === 'ann') return admin;
      if (token === 'bob') return { ...admin, userId: 2, username: 'bob', admin: false };
      throw new FieldloomError('invalid_token', 'no such token');
    },
    async redeem(): Promise<UserPrincipal> {
      throw new FieldloomError('invalid_token', 'no tickets here');
    },
    onUserChanged: () => () => {},
    user: async () => undefined,
  });
  routes(runtime.RED).add(
    imageRoutes({
      opened: () => ({ images, rows, files, downloads, secret: SECRET }),
      url: link,
      clock: systemClock,
    }),
  );
  const server: ImageServer = {
    url: runtime.url,
    images,
    folder: join(folder, 'firmware'),
    errors: runtime.errors,
    link,
    async close() {
      await runtime.close();
      await images.close();
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return server;
}

/** `size` bytes that are the same each time, in pieces of 64 KiB; never in memory as a whole. */
export function* content(size: number): Generator<Buffer> {
  const piece = Buffer.alloc(64 * 1024);
  for (let sent = 0; sent < size; sent += piece.length) {
    piece.writeUInt32BE(sent / piece.length);
    yield Buffer.from(piece.subarray(0, Math.min(piece.length, size - sent)));
  }
}

export function digestOf(algorithm: 'md5' | 'sha256', size: number): string {
  const hash = createHash(algorithm);
  for (const piece of content(size)) hash.update(piece);
  return hash.digest('hex');
}

/** Uploads content of this size as it is made, without telling its length. */
export async function uploadStream(url: string, version: string, size: number) {
  const sending = request(`${url}/firmware/images?version=${version}`, {
    method: 'POST',
    headers: { authorization: 'Bearer ann' },
  });
  sending.on('error', () => {}); // refused while it sends, it is cut off in the end
  Readable.from(content(size), { objectMode: false, highWaterMark: 64 * 1024 }).pipe(sending);
  const [answer] = await once(sending, 'response');
  const text = (await answer.setEncoding('utf8').toArray()).join('');
  return { status: answer.statusCode as number, body: JSON.parse(text) };
}

/** The same server in a process of its own, whose memory can be asked for. */
export async function forkImageServer(options: ImageServerOptions = {}) {
  const child: ChildProcess = fork(__filename, [JSON.stringify(options)], { execArgv: ['--expose-gc'] });
  const [{ url }] = (await once(child, 'message')) as [{ url: string }];
  return {
    url,
    /** Bytes: now, and the most since it was last asked. */
    async memory(): Promise<{ now: number; most: number }> {
      const answer = once(child, 'message');
      child.send('memory');
      return (await answer)[0];
    },
    async close() {
      const exit = once(child, 'exit');
      child.send('close');
      await exit;
    },
  };
}

/** Memory that the process holds resident, without the pages of files that the system lends it. */
const resident = () => process.memoryUsage.rss();

async function serve(): Promise<void> {
  const server = await startImageServer(JSON.parse(process.argv[2] ?? '{}'));
  let most = 0;
  setInterval(() => {
    most = Math.max(most, resident());
  }, 20).unref();
  process.on('message', (message) => {
    if (message === 'close') server.close().then(() => process.exit(0));
    else {
      process.send?.({ now: resident(), most });
      global.gc?.();
      most = resident();
    }
  });
  process.send?.({ url: server.url });
}

if (require.main === module) void serve();
