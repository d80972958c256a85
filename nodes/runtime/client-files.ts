import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { FieldloomError } from '../../lib/core/errors.js';
import type { Route } from '../../lib/web/route.js';

/** The bundled browser client: dist/client/browser. */
const FOLDER = join(__dirname, '..', '..', 'client', 'browser');

const TYPES: Record<string, string> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The browser client for pages: `/fieldloom/client/<file>`; with `?v=<version>` it may be kept for good. */
export const clientFiles: Route = {
  method: 'GET',
  path: '/fieldloom/client/:file',
  access: 'open',
  async handle({ parameters, query }) {
    const file = parameters['file'] ?? '';
    const type = TYPES[extname(file)];
    const content =
      type === undefined || !/^[\w-]+(\.[\w-]+)+$/.test(file)
        ? undefined
        : await readFile(join(FOLDER, file)).catch(() => undefined);
    if (content === undefined) throw new FieldloomError('not_found', `there is no client file ${file}`);
    return {
      status: 200,
      body: content,
      headers: {
        'Content-Type': type as string,
        'Cache-Control': query.get('v') === null ? 'no-cache' : 'public, max-age=31536000, immutable',
      },
    };
  },
};
