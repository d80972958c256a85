import { asError, FieldloomError } from '../../core/errors.js';
import type { Failure } from './messages.js';
import { ThreadFailure } from './thread.js';

/** What the rest of the library gets to hear of a failure in a worker thread. */
export function storeError(error: unknown): FieldloomError {
  if (!(error instanceof ThreadFailure)) {
    return new FieldloomError('store_rejected', asError(error).message, { cause: error });
  }
  const { kind, message } = error.failure;
  if (kind === 'busy') return unavailable(`the database is locked by another process (${message})`, error);
  if (kind === 'away') return unavailable(`the database cannot be used: ${message}`, error);
  return rejected(error.failure);
}

function unavailable(message: string, cause: Error): FieldloomError {
  return new FieldloomError('store_unavailable', message, { cause });
}

/** Why one unit of a batch is void. */
export function rejected({ kind, message }: Failure): FieldloomError {
  if (kind === 'conflict') {
    return new FieldloomError('store_conflict', `the row has changed in between: ${message}`);
  }
  return new FieldloomError('store_rejected', `the database refuses the statement: ${message}`, {
    details: { constraint: kind === 'constraint' },
  });
}
