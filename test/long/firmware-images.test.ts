import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { eventually } from '../support/gateway.js';
import {
  digestOf,
  forkImageServer,
  type ImageServer,
  startImageServer,
  uploadStream,
} from '../support/image-server.js';

const ANN = { authorization: 'Bearer ann' };
const FILE = Buffer.from('0123456789');

describe('firmware images over HTTP', function () {
  this.timeout(60_000);
  let server: ImageServer;
  const closing: (() => Promise<void>)[] = [];
  const start = async (options?: Parameters<typeof startImageServer>[0]) => {
    server = await startImageServer(options);
    closing.push(server.close);
  };
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  const upload = async (version: string, body: Buffer | string = FILE, query = '', headers: object = ANN) => {
    const answer = await fetch(`${server.url}/firmware/images?version=${version}${query}`, {
      method: 'POST',
      body: body as never,
      headers: { ...headers },
    });
    return { status: answer.status, headers: answer.headers, body: (await answer.json()) as never };
  };
  const uploaded = async (version = '1.0.1', body = FILE): Promise<{ id: string; file_url: string }> => {
    const { status, body: image } = await upload(version, body);
    assert.equal(status, 201);
    return image;
  };
  const files = () => readdir(server.folder);
  const get = (url: string, headers: Record<string, string> = {}, method = 'GET') =>
    fetch(url, { headers, method });

  describe('an upload', () => {
    it('answers what the protocol needs: size, MD5, SHA-256 and a link that works', async () => {
      await start();
      const { status, headers, body } = await upload('1.0.1');
      const image = body as Record<string, string>;
      assert.equal(status, 201);
      assert.equal(headers.get('location'), `/firmware/images/${image['id']}`);
      assert.equal(image['version'], '1.0.1');
      assert.equal(image['file_size'], 10);
      assert.equal(image['checksum'], createHash('md5').update(FILE).digest('hex'));
      assert.equal(image['sha256'], createHash('sha256').update(FILE).digest('hex'));
      assert.equal(image['created_by'], 'ann');
      const file = await get(image['file_url'] as string);
      assert.equal(file.status, 200);
      assert.deepEqual(Buffer.from(await file.arrayBuffer()), FILE);
    });

    it('is for administrators', async () => {
      await start();
      assert.equal((await upload('1.0.1', FILE, '', {})).status, 401);
      assert.equal((await upload('1.0.1', FILE, '', { authorization: 'Bearer bob' })).status, 403);
      assert.deepEqual(await files(), []);
    });

    it('may have any content type, but is the file itself: no form, nothing packed', async () => {
      await start();
      const types = ['application/json', 'text/plain', 'application/x-www-form-urlencoded'];
      for (const [index, type] of types.entries()) {
        assert.equal((await upload(`1.0.${index}`, '{', '', { ...ANN, 'content-type': type })).status, 201);
      }
      const form = new FormData();
      form.set('file', 'x');
      assert.equal((await upload('2.0', form as never)).status, 415);
      assert.equal((await upload('2.0', 'x', '', { ...ANN, 'content-encoding': 'gzip' })).status, 415);
      assert.equal((await files()).length, types.length);
    });

    for (const [what, version, body, status, code] of [
      ['of the same version', '1.0.1', 'other', 409, 'conflict'],
      ['of nothing', '1.0.2', '', 400, 'invalid_input'],
      ['without a version', '', 'x', 400, 'invalid_input'],
      ['of a version that is too long', 'x'.repeat(65), 'x', 400, 'invalid_input'],
      ['of a version with a line end', '1%0A2', 'x', 400, 'invalid_input'],
      ['over the limit', '1.0.2', 'x'.repeat(101), 413, 'payload_too_large'],
    ] as const) {
      it(`${what} is refused with ${status} and leaves nothing`, async () => {
        await start({ maxBytes: 100 });
        await uploaded();
        const answer = await upload(version, body);
        assert.equal(answer.status, status);
        assert.equal((answer.body as { error: { code: string } }).error.code, code);
        assert.equal((await files()).length, 1);
      });
    }

    it('over the limit that does not tell its length is refused as soon as it is too long', async () => {
      await start({ maxBytes: 1024 * 1024 });
      const { status, body } = await uploadStream(server.url, '1.0.1', 8 * 1024 * 1024);
      assert.equal(status, 413);
      assert.match(body.error.message, /at most 1048576 bytes/);
      assert.deepEqual(await files(), []);
    });

    it('of one version by two at once is stored once', async () => {
      await start();
      const answers = await Promise.all([upload('1.0.1', 'one'), upload('1.0.1', 'two')]);
      assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409]);
      assert.equal((await files()).length, 1);
    });

    it('whose client goes away leaves nothing', async () => {
      await start();
      const sending = request(`${server.url}/firmware/images?version=1.0.1`, {
        method: 'POST',
        headers: ANN,
      });
      sending.on('error', () => {});
      sending.write(Buffer.alloc(100_000));
      await eventually(async () => ((await files()).length === 1 ? true : undefined), 'the temporary file');
      sending.destroy();
      await eventually(async () => ((await files()).length === 0 ? true : undefined), 'its end');
      assert.deepEqual((await server.images.get('x')) ?? null, null);
    });

    it('is broken off when the gateway stops, also while its client sends nothing', async () => {
      await start();
      const sending = request(`${server.url}/firmware/images?version=1.0.1`, {
        method: 'POST',
        headers: ANN,
      });
      sending.write(Buffer.alloc(100_000));
      await eventually(async () => ((await files()).length === 1 ? true : undefined), 'the temporary file');
      const answer = once(sending, 'response') as Promise<[IncomingMessage]>;
      await server.images.close();
      assert.deepEqual(await files(), []);
      assert.equal((await answer)[0].statusCode, 503);
      sending.destroy();
    });

    it('must be signed where the gateway has a public key', async () => {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      await start({ publicKey });
      const digest = createHash('sha256').update(FILE).digest();
      const signature = sign(null, digest, privateKey).toString('base64');
      const stranger = sign(null, digest, generateKeyPairSync('ed25519').privateKey).toString('base64');
      const query = (text: string) => `&signature=${encodeURIComponent(text)}`;
      for (const wrong of ['', query(stranger), query('x'), query(signature.slice(4))]) {
        assert.equal((await upload('1.0.1', FILE, wrong)).status, 400, wrong);
        assert.deepEqual(await files(), []);
      }
      const { status, body } = await upload('1.0.1', FILE, query(signature));
      assert.equal(status, 201);
      assert.equal((body as { signature: string }).signature, signature);
      // A plus that was not encoded comes as a space.
      assert.equal((await upload('1.0.2', FILE, `&signature=${signature}`)).status, 201);
    });

    it('of a crash is removed at the next start, and what is stored is kept', async () => {
      await start();
      const { id } = await uploaded();
      await writeFile(join(server.folder, '01234567-89ab-4def-8123-456789abcdef.upload'), 'half');
      await writeFile(join(server.folder, '01234567-89ab-7def-8123-456789abcdef.bin'), 'no row');
      await writeFile(join(server.folder, 'notes.txt'), 'not ours');
      assert.equal(await server.images.start(), 2);
      assert.deepEqual((await files()).sort(), [`${id}.bin`, 'notes.txt'].sort());
    });
  });

  describe('a list', () => {
    it('is newest first, page by page; links are for administrators', async () => {
      await start();
      for (const version of ['1', '2', '3']) await uploaded(version);
      const page = async (query: string, token: string) =>
        (await get(`${server.url}/firmware/images${query}`, { authorization: `Bearer ${token}` })).json();
      const first = (await page('?limit=2', 'ann')) as {
        items: Record<string, string>[];
        next_cursor: string;
      };
      assert.deepEqual(
        first.items.map(({ version }) => version),
        ['3', '2'],
      );
      assert.ok(first.items[0]?.['file_url']);
      const second = (await page(`?limit=2&cursor=${first.next_cursor}`, 'bob')) as typeof first;
      assert.deepEqual(
        second.items.map(({ version, file_url }) => [version, file_url]),
        [['1', undefined]],
      );
      assert.equal(second.next_cursor, null);
      assert.equal((await get(`${server.url}/firmware/images`)).status, 401);
    });
  });

  describe('a removed image', () => {
    it('is gone, with its file', async () => {
      await start();
      const { id, file_url } = await uploaded();
      const remove = (headers: Record<string, string>) =>
        get(`${server.url}/firmware/images/${id}`, headers, 'DELETE');
      assert.equal((await remove({ authorization: 'Bearer bob' })).status, 403);
      assert.equal((await remove(ANN)).status, 204);
      assert.equal((await remove(ANN)).status, 404);
      assert.equal((await get(file_url)).status, 404);
      assert.deepEqual(await files(), []);
    });

    it('is refused while somebody needs it', async () => {
      await start();
      const { id } = await uploaded();
      const release = server.images.holdBack(async (imageId) =>
        imageId === id ? 'rollout 7 runs' : undefined,
      );
      const answer = await get(`${server.url}/firmware/images/${id}`, ANN, 'DELETE');
      assert.equal(answer.status, 409);
      assert.match(await answer.text(), /rollout 7 runs/);
      release();
      assert.equal((await get(`${server.url}/firmware/images/${id}`, ANN, 'DELETE')).status, 204);
    });
  });

  describe('a file', () => {
    it('wants its link: forged, expired, of another image and none are 403', async () => {
      await start();
      const { id } = await uploaded();
      const other = await uploaded('1.0.2');
      const good = server.link(id);
      const bad = [
        good.split('?')[0] as string,
        good.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')).replace(/(signature=)(.)/, '$1_$2'),
        good.replace(/expires=(\d+)/, (_all, at: string) => `expires=${Number(at) + 3600}`),
        server.link(id, Date.now() - 1000),
        server.link(other.id).replace(other.id, id),
        `${good}&expires=9999999999`,
      ];
      for (const url of bad) assert.equal((await get(url)).status, 403, url);
      assert.equal((await get(good)).status, 200);
    });

    it('goes on where it was broken off', async () => {
      await start();
      const { file_url: url } = await uploaded();
      const whole = await get(url);
      const etag = whole.headers.get('etag') as string;
      const modified = whole.headers.get('last-modified') as string;
      assert.equal(whole.headers.get('accept-ranges'), 'bytes');
      await whole.arrayBuffer();
      const part = async (headers: Record<string, string>) => {
        const answer = await get(url, headers);
        return [answer.status, answer.headers.get('content-range'), await answer.text()];
      };
      for (const condition of [{}, { 'if-range': etag }, { 'if-range': modified }]) {
        assert.deepEqual(await part({ range: 'bytes=4-', ...condition }), [206, 'bytes 4-9/10', '456789']);
      }
      assert.deepEqual(await part({ range: 'bytes=2-3' }), [206, 'bytes 2-3/10', '23']);
      assert.deepEqual(await part({ range: 'bytes=-3' }), [206, 'bytes 7-9/10', '789']);
      assert.deepEqual(await part({ range: 'bytes=4-99' }), [206, 'bytes 4-9/10', '456789']);
      for (const other of [{ 'if-range': '"other"' }, { 'if-range': 'Mon, 01 Jan 2024 00:00:00 GMT' }]) {
        assert.deepEqual(await part({ range: 'bytes=4-', ...other }), [200, null, '0123456789']);
      }
      assert.deepEqual(await part({ range: 'bytes=0-1,4-5' }), [200, null, '0123456789']);
      const [status, range] = await part({ range: 'bytes=10-' });
      assert.deepEqual([status, range], [416, 'bytes */10']);
    });

    it('is not sent where the client has it, nor to a HEAD', async () => {
      await start();
      const { file_url: url } = await uploaded();
      const head = await get(url, {}, 'HEAD');
      assert.equal(head.status, 200);
      assert.equal(head.headers.get('content-length'), '10');
      assert.equal(await head.text(), '');
      const known = await get(url, { 'if-none-match': head.headers.get('etag') as string });
      assert.equal(known.status, 304);
      const since = { 'if-modified-since': head.headers.get('last-modified') as string };
      assert.equal((await get(url, since)).status, 304);
    });

    it('that is no longer on the disk is 404, and takes no place', async () => {
      await start({ limits: { maxDownloads: 1 } });
      const { id, file_url: url } = await uploaded();
      await rm(join(server.folder, `${id}.bin`));
      for (let again = 0; again < 3; again += 1) assert.equal((await get(url)).status, 404);
    });

    it('finds a place for so many at once; others are told when to come again', async () => {
      await start({ limits: { maxDownloads: 2 } });
      const { file_url: url } = await uploaded('1.0.1', Buffer.alloc(16 * 1024 * 1024));
      const open = async () => {
        const asking = request(url).end();
        const [answer] = (await once(asking, 'response')) as [IncomingMessage];
        return answer;
      };
      const [first, second, third] = [await open(), await open(), await open()];
      assert.deepEqual(
        [first, second, third].map(({ statusCode }) => statusCode),
        [200, 200, 503],
      );
      assert.match(third.headers['retry-after'] ?? '', /^\d+$/);
      third.resume();
      // Whoever goes away leaves its place.
      first.destroy();
      await eventually(async () => {
        const answer = await open();
        answer.destroy();
        return answer.statusCode === 200 ? true : undefined;
      }, 'a free place');
      second.destroy();
    });

    it('comes no faster than the cap', async () => {
      await start({ limits: { bytesPerSecond: 512 * 1024 } });
      const { file_url: url } = await uploaded('1.0.1', Buffer.alloc(512 * 1024));
      const began = Date.now();
      await (await get(url)).arrayBuffer();
      // All but the first piece wait for those before them.
      assert.ok(Date.now() - began > 800, `${Date.now() - began} ms`);
    });
  });

  it('keep a gateway of many uploads and downloads small: nothing is ever whole in memory', async () => {
    const size = 128 * 1024 * 1024;
    const far = await forkImageServer();
    closing.push(far.close);
    // What every process needs once is not counted.
    const warm = await uploadStream(far.url, 'warm', 4 * 1024 * 1024);
    await (await fetch(warm.body.file_url)).arrayBuffer();
    await far.memory();
    const before = (await far.memory()).now;

    const { status, body } = await uploadStream(far.url, '1.0.1', size);
    assert.equal(status, 201);
    assert.equal(body.sha256, digestOf('sha256', size));
    const afterUpload = (await far.memory()).most - before;

    // All of them take a little and then nothing, until each has begun: what they do not take must not pile up.
    const readers = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const asking = request(body.file_url, { agent: false }).end();
        const [answer] = (await once(asking, 'response')) as [IncomingMessage];
        await once(answer, 'readable');
        return answer;
      }),
    );
    const stuck = (await far.memory()).most - before;
    const finishing = readers.splice(0, 2);
    for (const answer of readers) answer.destroy();
    const digests = await Promise.all(
      finishing.map(async (answer) => {
        const hash = createHash('sha256');
        for await (const piece of answer) hash.update(piece as Buffer);
        return hash.digest('hex');
      }),
    );
    const served = (await far.memory()).most - before;
    assert.deepEqual([...new Set(digests)], [body.sha256]);
    const mebibytes = [afterUpload, stuck, served].map((bytes) => Math.round(bytes / 2 ** 20));
    // One image held whole would be 128; what comes and goes in pieces is cleared away some dozens of MiB later.
    assert.ok(Math.max(...mebibytes) < 100, `${mebibytes.join(', ')} MiB more than before`);
  });

  it('have files that only their owner can read', async () => {
    await start();
    const { id } = await uploaded();
    assert.equal((await stat(join(server.folder, `${id}.bin`))).mode & 0o777, 0o600);
  });
});
