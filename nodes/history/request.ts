import { FieldloomError } from '../../lib/core/errors.js';
import { readInstant } from '../../lib/core/instant.js';
import type { MachineIds } from '../../lib/solar/ports.js';
import type { Resolution, SeriesFilter } from '../../lib/store/solar-queries.js';
import { resolutionOf } from './rest.js';

export interface HistoryRequest {
  ids: MachineIds;
  resolution: Resolution | undefined;
  span: Pick<SeriesFilter, 'from' | 'to'>;
  /** Points at most, the newest of the span. */
  limit: number;
}

const LIMIT = 1_000;
const MOST = 100_000;

const invalid = (field: string, found: unknown, accepted: string) =>
  new FieldloomError(
    'invalid_input',
    `msg.payload.${field} is ${JSON.stringify(found)}: accepted is ${accepted}`,
    { pointer: `/${field}` },
  );

/**
 * What a flow asks: `{company_id, machine_id, from?, to?, resolution?, limit?}`.
 * @throws FieldloomError invalid_input, which names the field
 */
export function historyRequest(payload: unknown): HistoryRequest {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload) || Buffer.isBuffer(payload)) {
    throw new FieldloomError('invalid_input', 'msg.payload: accepted is {company_id, machine_id, …}');
  }
  const asked = payload as Record<string, unknown>;
  const id = (field: string) => {
    const value = asked[field];
    if (typeof value === 'number') return String(value);
    if (typeof value !== 'string' || value === '') throw invalid(field, value, 'text');
    return value;
  };
  const instant = (field: string) => {
    const value = asked[field] instanceof Date ? (asked[field] as Date).getTime() : asked[field];
    if (value === undefined || value === null || value === '') return undefined;
    const at = typeof value === 'string' || typeof value === 'number' ? readInstant(value) : undefined;
    if (at === undefined)
      throw invalid(field, value, 'an instant with offset, a date, or epoch milliseconds');
    return at;
  };
  const { limit = LIMIT } = asked;
  if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 1 || limit > MOST) {
    throw invalid('limit', limit, `a whole number from 1 to ${MOST}`);
  }
  const [from, to] = [instant('from'), instant('to')];
  return {
    ids: { companyId: id('company_id'), machineId: id('machine_id') },
    resolution: resolutionOf(asked['resolution']),
    span: { ...(from !== undefined && { from }), ...(to !== undefined && { to }) },
    limit,
  };
}
