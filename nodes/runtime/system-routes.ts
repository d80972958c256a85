import type { Route } from '../../lib/web/route.js';
import { version } from '../../package.json';
import { health } from './health.js';
import { metricsText } from './metrics.js';

/**
 * What `/health` answers: 200 where every part is well, else 503, with a word for each part.
 * @param expected parts that must be there
 * @param more of the gateway itself
 */
export function healthAnswer(expected: readonly string[] = [], more: object = {}) {
  const { ok, parts } = health(expected);
  return { status: ok ? 200 : 503, body: { status: ok ? 'ok' : 'failed', ...parts, ...more, version } };
}

/** `/health` and `/metrics` of a Node-RED that a person starts; the start command answers both before the flows run. */
export const systemRoutes: readonly Route[] = [
  { method: 'GET', path: '/health', access: 'open', handle: async () => healthAnswer() },
  {
    method: 'GET',
    path: '/metrics',
    access: 'open',
    async handle() {
      const { type, text } = await metricsText();
      return { status: 200, body: Buffer.from(text), headers: { 'Content-Type': type } };
    },
  },
];
