import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { digestOf, forkImageServer, uploadStream } from '../test/support/image-server.js';

const MIB = 1024 * 1024;
/** What the gateway may need more than before, whatever the size of the image and however many download it. */
const MOST_MIB = 200;

async function download(url: string, pauseMs: number): Promise<string> {
  const asking = request(url, { agent: false }).end();
  const [answer] = (await once(asking, 'response')) as [IncomingMessage];
  const hash = createHash('sha256');
  let waited = false;
  for await (const piece of answer) {
    hash.update(piece as Buffer);
    if (waited) continue;
    waited = true;
    await delay(pauseMs);
  }
  return hash.digest('hex');
}

/**
 * Uploads one image and downloads it many times at once, each download standing still for a while after its first
 * piece. Prints what that costs in memory, and how fast it went.
 */
export async function benchImages({ size, downloads }: { size: number; downloads: number }): Promise<void> {
  console.log(`${cpus().length} × ${cpus()[0]?.model}, Node.js ${process.version}`);
  const server = await forkImageServer();
  const report = (name: string, mebibytes: number, bytes: number, ms: number) =>
    console.log(
      `${name.padEnd(34)} ${mebibytes.toFixed(0).padStart(5)} MiB more memory, ` +
        `${(bytes / MIB / (ms / 1000)).toFixed(0).padStart(5)} MiB a second`,
    );
  try {
    const warm = await uploadStream(server.url, 'warm', 4 * MIB);
    await download(warm.body.file_url, 0);
    await server.memory();
    const before = (await server.memory()).now;
    const added = async () => ((await server.memory()).most - before) / MIB;

    let began = performance.now();
    const { status, body } = await uploadStream(server.url, 'large', size * MIB);
    assert.equal(status, 201);
    const upload = await added();
    report(`upload of ${size} MiB`, upload, size * MIB, performance.now() - began);

    const expected = digestOf('sha256', size * MIB);
    began = performance.now();
    const digests = await Promise.all(
      Array.from({ length: downloads }, () => download(body.file_url, 2_000)),
    );
    const serve = await added();
    report(`${downloads} downloads at once`, serve, downloads * size * MIB, performance.now() - began);
    assert.ok(digests.every((digest) => digest === expected));
    assert.ok(Math.max(upload, serve) < MOST_MIB, `more than ${MOST_MIB} MiB`);
  } finally {
    await server.close();
  }
}
