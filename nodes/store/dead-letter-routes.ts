import { mayChange, mayRead } from '../../lib/access/policy.js';
import type { UserPrincipal } from '../../lib/access/principal.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { DeadLetters, StoredDeadLetter } from '../../lib/store/dead-letters.js';
import { formatDeadLetter } from '../../lib/web/dead-letter-format.js';
import { instantParameter, limitParameter, textParameter } from '../../lib/web/query.js';
import type { Answer, Route } from '../../lib/web/route.js';
import type { ReplayOutcome } from '../runtime/replay.js';

const ok = (body: unknown): Answer => ({ status: 200, body });

function check(principal: UserPrincipal | undefined, may: typeof mayRead): void {
  if (principal !== undefined && !may(principal, { kind: 'dead-letters' })) {
    throw new FieldloomError('forbidden', 'refused messages are for administrators');
  }
}

const DAY_MS = 86_400_000;

/** What was refused in the last 24 hours, by protocol, for the overview. @throws FieldloomError forbidden */
export async function refusedPart(letters: DeadLetters, principal: UserPrincipal | undefined, now: number) {
  check(principal, mayRead);
  const recent = await letters.recent(now - DAY_MS);
  return {
    protocols: recent.map(({ protocol, count, newestAt }) => ({
      protocol,
      count,
      newest_at: new Date(newestAt).toISOString(),
    })),
  };
}

/**
 * Refused messages of all protocols (contract.md "REST").
 * @param letters throws store_unavailable while the store is not open
 */
export function deadLetterRoutes(
  letters: () => DeadLetters,
  replay: (letter: StoredDeadLetter) => Promise<ReplayOutcome>,
): Route[] {
  return [
    {
      method: 'GET',
      path: '/dead-letters',
      access: 'read',
      async handle({ principal, query }) {
        check(principal, mayRead);
        const protocol = textParameter(query, 'protocol');
        const since = instantParameter(query, 'since');
        const cursor = textParameter(query, 'cursor');
        const page = await letters().page({
          limit: limitParameter(query),
          ...(protocol !== undefined && { protocol }),
          ...(since !== undefined && { since }),
          ...(cursor !== undefined && { cursor }),
        });
        return ok({ items: page.items.map(formatDeadLetter), next_cursor: page.next_cursor });
      },
    },
    {
      method: 'GET',
      path: '/dead-letters/:id',
      access: 'read',
      async handle({ principal, parameters }) {
        check(principal, mayRead);
        return ok(formatDeadLetter(await letters().get(parameters['id'] ?? '')));
      },
    },
    {
      method: 'POST',
      path: '/dead-letters/:id/replay',
      // Where reading is open, one person sits at one machine: who may see what was refused may try it again.
      access: 'read',
      async handle({ principal, parameters }) {
        check(principal, mayChange);
        const letter = await letters().get(parameters['id'] ?? '');
        const outcome = await replay(letter);
        if (outcome.accepted) await letters().remove(letter.id);
        return ok(outcome);
      },
    },
  ];
}
