import type { Clock } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { Downloads } from '../../lib/firmware/downloads.js';
import { formatImage } from '../../lib/firmware/image-format.js';
import type { ImageFiles, ImageRecord, ImageRows, OpenFile } from '../../lib/firmware/image-ports.js';
import { checkVersion, type Images } from '../../lib/firmware/images.js';
import { plainBase64 } from '../../lib/firmware/signature.js';
import { checkQuery } from '../../lib/firmware/signed-url.js';
import { selectBytes } from '../../lib/web/byte-range.js';
import { problem } from '../../lib/web/problem.js';
import { limitParameter, textParameter } from '../../lib/web/query.js';
import type { Answer, AnswerStream, Request, Route } from '../../lib/web/route.js';

/** Of a `file_url` in an answer, for a person to try it; commands have their own. */
const LINK_MS = 24 * 60 * 60 * 1000;
/** What one download holds of its file. */
const PIECE = 64 * 1024;

/** What the routes lean on, once the store is open. */
export interface Opened {
  images: Images;
  rows: ImageRows;
  files: ImageFiles;
  downloads: Downloads;
  /** Signs links. */
  secret: string;
}

export interface ImageRest {
  /** @throws FieldloomError store_unavailable while the store is not open */
  opened(): Opened;
  /** The link to an image's file. */
  url(imageId: string, expiresAt: number): string;
  clock: Clock;
}

async function known({ images }: Opened, { parameters }: Request): Promise<ImageRecord> {
  const imageId = parameters['id'] ?? '';
  const image = await images.get(imageId);
  if (image === undefined) throw new FieldloomError('not_found', `there is no image ${imageId}`);
  return image;
}

function announcedSize({ headers }: Request): number | undefined {
  const length = headers['content-length'];
  return typeof length === 'string' ? Number(length) : undefined;
}

/** The firmware images' part of the REST API (contract.md "REST"). */
export function imageRoutes({ opened, url, clock }: ImageRest): Route[] {
  /** With a link for those who may upload: who may only look around is given none. */
  function shown(image: ImageRecord, { principal }: Request) {
    if (principal?.admin !== true) return formatImage(image);
    const expiresAt = clock.now() + LINK_MS;
    return { ...formatImage(image), file_url: url(image.imageId, expiresAt) };
  }

  return [
    {
      method: 'POST',
      path: '/firmware/images',
      access: 'admin',
      body: 'stream',
      async handle(request) {
        const { query, principal, stream } = request;
        const signature = textParameter(query, 'signature');
        const image = await opened().images.add({
          version: checkVersion(query.get('version')),
          signature: signature && plainBase64(signature),
          content: stream as AsyncIterable<Uint8Array>,
          announcedSize: announcedSize(request),
          user: principal?.username,
        });
        return {
          status: 201,
          headers: { Location: `/firmware/images/${image.imageId}` },
          body: shown(image, request),
        };
      },
    },
    {
      method: 'GET',
      path: '/firmware/images',
      access: 'read',
      async handle(request) {
        const { query } = request;
        const cursor = textParameter(query, 'cursor');
        const page = await opened().rows.page({
          limit: limitParameter(query),
          ...(cursor !== undefined && { cursor }),
        });
        const items = page.items.map((image) => shown(image, request));
        return { status: 200, body: { items, next_cursor: page.next_cursor } };
      },
    },
    {
      method: 'GET',
      path: '/firmware/images/:id',
      access: 'read',
      handle: async (request) => ({ status: 200, body: shown(await known(opened(), request), request) }),
    },
    {
      method: 'DELETE',
      path: '/firmware/images/:id',
      access: 'admin',
      async handle({ parameters }) {
        await opened().images.remove(parameters['id'] ?? '');
        return { status: 204 };
      },
    },
    {
      method: 'GET',
      path: '/firmware/images/:id/file',
      // The link is what lets in: a controller has no token.
      access: 'open',
      async handle(request) {
        const now = opened();
        checkQuery(now.secret, request.parameters['id'] ?? '', request.query, clock.now());
        return fileAnswer(now, await known(now, request), request);
      },
    },
  ];
}

async function fileAnswer(
  { files, downloads }: Opened,
  { imageId, version, sha256, fileSize, createdAt }: ImageRecord,
  { headers }: Request,
): Promise<Answer> {
  const selected = selectBytes(headers, { size: fileSize, etag: `"${sha256}"`, lastModified: createdAt });
  if (selected.status === 304) return selected;
  if (selected.status === 416) {
    const refused = problem(
      new FieldloomError(
        'range_not_satisfiable',
        `the file has ${fileSize} bytes: the range begins after them`,
      ),
    );
    return { ...refused, headers: selected.headers };
  }
  const place = downloads.enter();
  let file: OpenFile | undefined;
  try {
    file = await files.open(imageId);
    if (file?.size !== fileSize) {
      await file?.close();
      throw new FieldloomError('not_found', `the file of image ${imageId} (version ${version}) is not there`);
    }
  } catch (error) {
    place.leave();
    throw error;
  }
  const stream: AnswerStream = {
    async send(write) {
      // One piece for the whole download: it is used again once the connection has taken it.
      const piece = Buffer.allocUnsafeSlow(Math.min(PIECE, selected.length));
      const end = selected.start + selected.length;
      for (let position = selected.start; position < end; ) {
        const wanted = piece.subarray(0, Math.min(piece.length, end - position));
        const bytes = await file.read(wanted, position);
        if (bytes === 0) throw new Error(`the file of image ${imageId} has become shorter`);
        await place.pace(bytes);
        await write(wanted.subarray(0, bytes));
        position += bytes;
      }
    },
    async close() {
      place.leave();
      await file.close();
    },
  };
  return {
    status: selected.status,
    stream,
    headers: {
      ...selected.headers,
      'Content-Type': 'application/octet-stream',
      'Content-Disposition': 'attachment',
      // Not by a cache on the way that would give it to whoever comes later.
      'Cache-Control': 'private, no-transform',
    },
  };
}
