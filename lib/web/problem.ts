import { asError, FieldloomError } from '../core/errors.js';
import type { Answer } from './route.js';
export function problem(error: unknown): Answer {
  const known = error instanceof FieldloomError;
  return {
    status: known ? 400 : 500,
    body: {
      error: {
        code: known ? error.code : 'internal',
        message: known ? error.message : asError(error).message,
      },
    },
  };
}
