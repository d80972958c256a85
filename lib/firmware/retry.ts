import { randomUUID } from 'node:crypto';
import { v7 } from 'uuid';
import { type Deployment, isRetriable, scheduled } from './deployment-record.js';
import type { Retry } from './ports.js';
import type { CountChange } from './rollout.js';

/**
 * New deployments, with ids of their own, for those that did not reach their end well.
 * @param ended deployments of one rollout
 * @param wanted ids: only these
 * @returns undefined where there is none, or where one of the wanted cannot be retried
 */
export function retriesOf(
  ended: readonly Deployment[],
  wanted: readonly string[] | undefined,
  now: number,
): Retry[] | undefined {
  const ids = wanted === undefined ? undefined : new Set(wanted);
  const chosen = ended.filter((old) => isRetriable(old) && (ids === undefined || ids.has(old.id)));
  if (chosen.length === 0 || (ids !== undefined && chosen.length < ids.size)) return undefined;
  return chosen.map((old) => {
    const { rolloutId, storeId, controllerId, stage, position } = old;
    const given = { rolloutId, storeId, controllerId, stage, position, correlationId: randomUUID() };
    const next = scheduled({ ...given, id: v7() }, now);
    return {
      old: { ...old, retriedBy: next.id, revision: old.revision + 1 },
      expectedRevision: old.revision,
      next,
    };
  });
}

/** A target is counted by its newest deployment. */
export const countOfRetry = ({ old, next }: Retry): CountChange => ({
  stage: next.stage,
  from: old.state,
  to: next.state,
  stuck: 0,
});
