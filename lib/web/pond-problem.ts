import { problem } from './problem.js';
import type { Answer } from './route.js';

/** Django REST framework's and SimpleJWT's own words: the clients of the pond API know them. */
const NO_TOKEN = { detail: 'Authentication credentials were not provided.' };
const BAD_TOKEN = {
  detail: 'Given token not valid for any token type',
  code: 'token_not_valid',
  messages: [{ token_class: 'AccessToken', token_type: 'access', message: 'Token is invalid or expired' }],
};

function wordsOf(code: string, message: string): string {
  if (code === 'not_connected' || code === 'link_closed') return 'MQTT client not connected';
  if (code === 'store_unavailable' || code === 'store_closed') return 'Database not available';
  if (code === 'forbidden') return 'Access denied';
  return message;
}

/**
 * The answer to a failed request of the pond API: `detail` where the token is missing or bad, else
 * `{"success":false,"error":…}`. Whatever fails on this side is 500, as its clients expect.
 * (seed: pond-command-flow, 2 "Branch Points" and "Error Response Examples")
 */
export function pondProblem(thrown: unknown): Answer {
  const { status, headers = {}, body } = problem(thrown);
  const { code, message } = body.error;
  if (status === 401) return { status, headers, body: code === 'invalid_token' ? BAD_TOKEN : NO_TOKEN };
  return {
    status: status >= 500 ? 500 : status,
    headers,
    body: { success: false, error: wordsOf(code, message) },
  };
}
