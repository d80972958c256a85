import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { systemClock } from '../../lib/core/clock.js';
import { agentFiles } from '../../lib/firmware/agent-files.js';
import type { FetchOutcome } from '../../lib/firmware/agent-ports.js';
import type { FirmwareFile } from '../../lib/firmware/codec.js';
import { fakeClock } from '../support/fake-clock.js';
import { DEPLOYMENT } from '../support/firmware-agent.js';
import { cleanUp, later, temporaryFolder } from '../support/store.js';

const CONTENT = randomBytes(300_000);
const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest('hex');
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

type Serve = (request: IncomingMessage, response: ServerResponse, count: number) => void;

describe('a download', () => {
  let folder: string;
  let server: Server;
  let url: string;
  let requests: IncomingMessage[];
  let serve: Serve;
  /** Called as bytes come. */
  let onBytes: (bytes: number) => unknown;

  beforeEach(async () => {
    folder = await temporaryFolder();
    requests = [];
    serve = whole;
    onBytes = () => {};
    server = createServer((request, response) => {
      requests.push(request);
      serve(request, response, requests.length);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as { port: number }).port}/image.bin`;
    later(async () => {
      server.close();
      server.closeAllConnections();
    });
  });
  afterEach(cleanUp);

  const rangeOf = ({ headers }: IncomingMessage) =>
    Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);

  /** A server as it should be. */
  const whole: Serve = (request, response) => {
    const start = rangeOf(request);
    const tag = request.headers['if-range'];
    const part = start > 0 && (tag === undefined || tag === '"one"');
    const bytes = part ? CONTENT.subarray(start) : CONTENT;
    response.writeHead(part ? 206 : 200, {
      ETag: '"one"',
      'Content-Length': bytes.length,
      ...(part && { 'Content-Range': `bytes ${start}-${CONTENT.length - 1}/${CONTENT.length}` }),
    });
    response.end(bytes);
  };
  /** The same, cut off after so many bytes. */
  const cut =
    (after: number, headers: Record<string, string> = { ETag: '"one"' }): Serve =>
    (_request, response) => {
      response.writeHead(200, { 'Content-Length': CONTENT.length, ...headers });
      response.write(CONTENT.subarray(0, after));
      // Once the client has it all: what is on its way is lost with the connection.
      onBytes = (bytes) => bytes === after && response.destroy();
    };

  const fileOf = (more: Partial<FirmwareFile> = {}): FirmwareFile => ({
    firmwareVersion: '1.0.1',
    fileUrl: url,
    fileSize: CONTENT.length,
    checksum: md5(CONTENT),
    ...more,
  });
  interface Settings {
    publicKey?: KeyObject | undefined;
    allowedHosts?: string[];
    idleMs?: number;
    clock?: ReturnType<typeof fakeClock>;
  }
  const fetchFile = (
    more: Partial<FirmwareFile> = {},
    { publicKey, allowedHosts = [], idleMs, clock }: Settings = {},
    signal = new AbortController().signal,
    bytes: number[] = [],
  ): Promise<FetchOutcome> =>
    agentFiles({
      folder,
      allowedHosts,
      publicKey,
      clock: clock ?? systemClock,
      ...(idleMs !== undefined && { idleMs }),
    }).fetch(DEPLOYMENT, fileOf(more), signal, (progress) => {
      bytes.push(progress.bytes);
      onBytes(progress.bytes);
    });
  const path = () => join(folder, `${DEPLOYMENT}.bin`);
  const errorsOf = (outcome: FetchOutcome) =>
    outcome.outcome === 'wrong' || outcome.outcome === 'refused'
      ? outcome.errors.join('; ')
      : outcome.outcome;
  const names = async () => (await readdir(folder)).sort();

  it('brings the file, byte for byte, for its owner alone, and tells how far it is', async () => {
    const bytes: number[] = [];
    assert.deepEqual(await fetchFile({ sha256: sha256(CONTENT) }, {}, undefined, bytes), {
      outcome: 'ready',
    });
    assert.deepEqual(await readFile(path()), CONTENT);
    assert.equal(bytes[0], 0);
    assert.equal(bytes.at(-1), CONTENT.length);
    assert.equal(requests[0]?.headers['accept-encoding'], 'identity');
  });

  it('goes on where a connection was lost, also for another process', async () => {
    serve = (request, response, count) => (count === 1 ? cut(100_000) : whole)(request, response, count);
    const first = await fetchFile();
    assert.equal(first.outcome, 'interrupted');
    assert.ok(first.outcome === 'interrupted' && first.progressed);
    assert.equal((await readFile(path())).length, 100_000);
    assert.equal((await fetchFile()).outcome, 'ready');
    assert.equal(requests[1]?.headers.range, 'bytes=100000-');
    assert.equal(requests[1]?.headers['if-range'], '"one"');
    assert.deepEqual(await readFile(path()), CONTENT);
  });

  it('tells versions of the file apart by the time of the last change where there is no strong tag', async () => {
    const modified = 'Mon, 15 Jan 2024 09:00:00 GMT';
    serve = (request, response, count) =>
      (count === 1 ? cut(100_000, { ETag: 'W/"weak"', 'Last-Modified': modified }) : whole)(
        request,
        response,
        count,
      );
    await fetchFile();
    assert.equal((await fetchFile()).outcome, 'ready');
    assert.equal(requests[1]?.headers['if-range'], modified);
  });

  it('asks for nothing where the whole file is there already', async () => {
    await fetchFile();
    assert.equal((await fetchFile()).outcome, 'ready');
    assert.equal(requests.length, 1);
  });

  it('begins anew where the server does not follow', async () => {
    serve = (request, response, count) => {
      if (count === 1) return cut(100_000)(request, response, count);
      response.writeHead(200, { 'Content-Length': CONTENT.length });
      response.end(CONTENT);
    };
    await fetchFile();
    assert.equal((await fetchFile()).outcome, 'ready');
    assert.deepEqual(await readFile(path()), CONTENT);
  });

  it('begins anew where the file has changed in between', async () => {
    const old = Buffer.alloc(CONTENT.length, 'o');
    serve = (request, response, count) => {
      if (count > 1) return whole(request, response, count);
      response.writeHead(200, { 'Content-Length': old.length, ETag: '"old"' });
      response.write(old.subarray(0, 100_000));
      onBytes = (bytes) => bytes === 100_000 && response.destroy();
    };
    await fetchFile();
    assert.equal((await fetchFile()).outcome, 'ready');
    assert.deepEqual(await readFile(path()), CONTENT);
  });

  it('put together of pieces of different files is found out, and may be whole next time', async () => {
    const old = Buffer.alloc(CONTENT.length, 'o');
    serve = (request, response, count) => {
      if (count > 1) return whole(request, response, count);
      // No tag, no time: nobody can tell.
      response.writeHead(200, { 'Content-Length': old.length });
      response.write(old.subarray(0, 100_000));
      onBytes = (bytes) => bytes === 100_000 && response.destroy();
    };
    await fetchFile();
    const mixed = await fetchFile();
    assert.ok(mixed.outcome === 'wrong' && mixed.pieced);
    assert.deepEqual(await names(), []);
    assert.equal((await fetchFile()).outcome, 'ready');
  });

  it('that has more on the disk than there should be begins anew', async () => {
    await writeFile(path(), Buffer.alloc(CONTENT.length + 1));
    await writeFile(`${path()}.json`, JSON.stringify({ validator: '"one"', pieces: 1 }));
    assert.equal((await fetchFile()).outcome, 'ready');
    assert.equal(requests[0]?.headers.range, undefined);
  });

  it('whose notes were lost in a power cut begins anew', async () => {
    for (const notes of [undefined, '', '{"valid', 'null']) {
      await writeFile(path(), Buffer.alloc(1000));
      if (notes !== undefined) await writeFile(`${path()}.json`, notes);
      assert.equal((await fetchFile()).outcome, 'ready', notes);
    }
  });

  it('whose bytes were lost in a power cut is found out', async () => {
    await writeFile(path(), Buffer.alloc(100_000));
    await writeFile(`${path()}.json`, JSON.stringify({ validator: '"one"', pieces: 1 }));
    const torn = await fetchFile();
    assert.ok(torn.outcome === 'wrong' && torn.pieced);
    assert.equal((await fetchFile()).outcome, 'ready');
  });

  it('begins anew where the server knows no such range', async () => {
    serve = (request, response, count) => {
      if (count === 1) return cut(100_000)(request, response, count);
      if (request.headers.range === undefined) return whole(request, response, count);
      response.writeHead(416, { 'Content-Range': `bytes */${CONTENT.length}` }).end();
    };
    await fetchFile();
    assert.equal((await fetchFile()).outcome, 'interrupted');
    assert.equal((await fetchFile()).outcome, 'ready');
  });

  describe('never hands on', () => {
    const cases: [string, Serve, RegExp][] = [
      [
        'a file that is too long, and stops it',
        (_request, response) => {
          const more = () => response.write(Buffer.alloc(64 * 1024)) && setImmediate(more);
          response.on('drain', more);
          more();
        },
        /more than 300000 bytes/,
      ],
      [
        'a file whose length is another',
        (_request, response) => void response.writeHead(200, { 'Content-Length': 5 }).end('12345'),
        /has 5 bytes: the command says 300000/,
      ],
      [
        'a file that is too short',
        (_request, response) => void response.end('12345', () => {}),
        /has 5 bytes/,
      ],
      [
        'an altered file',
        (_request, response) => {
          const altered = Buffer.from(CONTENT);
          altered[150_000] = (altered[150_000] as number) ^ 1;
          response.end(altered);
        },
        /the MD5 of the file is [0-9a-f]{32}: checksum says/,
      ],
      [
        'a packed file',
        (_request, response) => void response.writeHead(200, { 'Content-Encoding': 'gzip' }).end('x'),
        /packed \(gzip\)/,
      ],
      [
        'a part that nobody asked for',
        (_request, response) =>
          void response.writeHead(206, { 'Content-Range': `bytes 5-9/${CONTENT.length}` }).end('56789'),
        /not asked for/,
      ],
      ['what the server refuses', (_request, response) => void response.writeHead(403).end(), /answers 403/],
    ];
    for (const [what, how, reason] of cases) {
      it(what, async () => {
        serve = how;
        const outcome = await fetchFile();
        assert.ok(['wrong', 'refused'].includes(outcome.outcome), JSON.stringify(outcome));
        assert.match(errorsOf(outcome), reason);
        if (outcome.outcome === 'wrong') assert.deepEqual(await names(), []);
      });
    }

    it('a file with another SHA-256', async () => {
      const outcome = await fetchFile({ sha256: sha256(Buffer.from('other')) });
      assert.match(errorsOf(outcome), /the SHA-256 of the file is/);
    });

    it('an unsigned or wrongly signed file, where it has a public key', async () => {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      const digest = createHash('sha256').update(CONTENT).digest();
      const signatureBy = (key: KeyObject, bytes = digest) => sign(null, bytes, key).toString('base64');
      const signature = signatureBy(privateKey);
      assert.match(errorsOf(await fetchFile({}, { publicKey })), /signature is missing/);
      for (const wrong of [
        signatureBy(generateKeyPairSync('ed25519').privateKey),
        signatureBy(privateKey, createHash('sha256').update('other').digest()),
      ]) {
        assert.match(errorsOf(await fetchFile({ signature: wrong }, { publicKey })), /does not fit/);
      }
      assert.deepEqual(await fetchFile({ signature }, { publicKey }), { outcome: 'ready' });
      // Without a key nobody can judge it.
      assert.deepEqual(await fetchFile({ signature: signatureBy(privateKey, Buffer.from('x')) }), {
        outcome: 'ready',
      });
    });
  });

  describe('is worth another try', () => {
    for (const status of [408, 425, 429, 500, 502, 503, 504]) {
      it(`after ${status}, when the server says`, async () => {
        serve = (_request, response) => void response.writeHead(status, { 'Retry-After': '7' }).end('later');
        assert.deepEqual(await fetchFile(), {
          outcome: 'interrupted',
          reason: `the server answers ${status}`,
          progressed: false,
          retryAfterMs: 7000,
        });
      });
    }

    it('where nobody listens', async () => {
      server.close();
      server.closeAllConnections();
      const outcome = await fetchFile();
      assert.ok(
        outcome.outcome === 'interrupted' && /ECONNREFUSED/.test(outcome.reason),
        JSON.stringify(outcome),
      );
    });

    it('where the server says nothing any more', async () => {
      const clock = fakeClock();
      const sent = new Promise<void>((resolve) => {
        serve = (_request, response) => {
          response.writeHead(200, { 'Content-Length': CONTENT.length });
          response.write(CONTENT.subarray(0, 10), () => resolve());
        };
      });
      const bytes: number[] = [];
      const outcome = fetchFile({}, { clock, idleMs: 30_000 }, undefined, bytes);
      await sent;
      while (bytes.at(-1) !== 10 || clock.timers === 0) await new Promise(setImmediate);
      clock.advance(29_999);
      await new Promise(setImmediate);
      clock.advance(1);
      assert.deepEqual(await outcome, {
        outcome: 'interrupted',
        reason: 'nothing came for 30 s',
        progressed: true,
      });
      assert.equal(clock.timers, 0);
    });

    it('where an answer without a length was cut off', async () => {
      serve = (_request, response) => {
        response.socket?.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${'x'.repeat(100)}`);
      };
      assert.equal((await fetchFile()).outcome, 'interrupted');
    });
  });

  it('ends when it is stopped', async () => {
    const stop = new AbortController();
    serve = (_request, response) => {
      response.writeHead(200, { 'Content-Length': CONTENT.length });
      response.write('x', () => stop.abort());
    };
    assert.equal((await fetchFile({}, {}, stop.signal)).outcome, 'interrupted');
  });

  describe('that is sent on', () => {
    const to =
      (location: string): Serve =>
      (request, response, count) => {
        if (request.url === '/image.bin') return void response.writeHead(302, { Location: location }).end();
        whole(request, response, count);
      };

    it('follows, keeping what it has', async () => {
      serve = to('/elsewhere.bin');
      assert.deepEqual(await fetchFile(), { outcome: 'ready' });
    });

    for (const [what, location, reason] of [
      ['to another host than allowed', 'http://localhost:1/x', /after a redirect file_url is on localhost:1/],
      ['to a file', 'file:///etc/passwd', /after a redirect .*accepted is http or https/],
      ['in a circle', '/image.bin', /redirects more than 5 times/],
    ] as const) {
      it(`${what} is refused`, async () => {
        serve = to(location);
        const outcome = await fetchFile({}, { allowedHosts: ['127.0.0.1'] });
        assert.equal(outcome.outcome, 'refused');
        assert.match(errorsOf(outcome), reason);
      });
    }
  });

  it('refuses a folder that it cannot write', async () => {
    await writeFile(join(folder, 'taken'), '');
    const files = agentFiles({
      folder: join(folder, 'taken'),
      allowedHosts: [],
      publicKey: undefined,
      clock: systemClock,
    });
    const outcome = await files.fetch(DEPLOYMENT, fileOf(), new AbortController().signal, () => {});
    assert.equal(outcome.outcome, 'refused');
  });

  it('leaves what is not its own in the folder', async () => {
    const files = agentFiles({ folder, allowedHosts: [], publicKey: undefined, clock: systemClock });
    const other = DEPLOYMENT.replace('7f', '8f');
    for (const name of [`${DEPLOYMENT}.bin`, `${other}.bin`, `${other}.bin.json`, 'notes.txt']) {
      await writeFile(join(folder, name), 'x');
    }
    await files.sweep(DEPLOYMENT);
    assert.deepEqual(await names(), [`${DEPLOYMENT}.bin`, 'notes.txt']);
    assert.ok(((await files.freeBytes()) ?? 0) > 0);
  });
});
