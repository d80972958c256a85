import type { NodeAPI } from 'node-red';
import type { UserPrincipal } from '../../lib/access/principal.js';
import { asError, FieldloomError } from '../../lib/core/errors.js';
import type { Route } from '../../lib/web/route.js';

/** What `GET /overview` answers, part by part. */
export const OVERVIEW_PARTS = ['laundry', 'ponds', 'firmware', 'solar', 'roast', 'refused'] as const;
export type OverviewPart = (typeof OVERVIEW_PARTS)[number];

/**
 * One protocol's part for one who asks: what needs attention, counts, a curve of the last hour. It shows nothing that
 * the protocol's own paths would not.
 * @param principal undefined: nobody we know, where reading is open
 * @throws FieldloomError; unauthenticated and forbidden are told as they are
 */
export type AskOverview = (principal: UserPrincipal | undefined, now: number) => Promise<object>;

const registries = new WeakMap<object, Map<OverviewPart, Set<AskOverview>>>();

/** Answers for this part from now on. @returns what ends it */
export function addOverview(RED: NodeAPI, part: OverviewPart, ask: AskOverview): () => void {
  const parts = registries.get(RED.httpNode) ?? new Map<OverviewPart, Set<AskOverview>>();
  registries.set(RED.httpNode, parts);
  const own = parts.get(part) ?? new Set();
  parts.set(part, own.add(ask));
  return () => {
    own.delete(ask);
  };
}

/** `GET /overview`: a part that cannot answer says why, and keeps no other from answering. */
export function overviewRoute(RED: NodeAPI, now: () => number): Route {
  async function answerOf(part: OverviewPart, principal: UserPrincipal | undefined, at: number) {
    const [ask] = registries.get(RED.httpNode)?.get(part) ?? [];
    if (ask === undefined) return { state: 'absent' };
    try {
      return { state: 'ready', ...(await ask(principal, at)) };
    } catch (error) {
      if (!(error instanceof FieldloomError)) RED.log.error(`overview of ${part}: ${asError(error).stack}`);
      const { code, message } =
        error instanceof FieldloomError
          ? error
          : { code: 'internal' as const, message: 'the gateway made a mistake; its log says which' };
      const refused = code === 'unauthenticated' || code === 'forbidden';
      return refused ? { state: code } : { state: 'failed', code, message };
    }
  }
  return {
    method: 'GET',
    path: '/overview',
    access: 'read',
    async handle({ principal }) {
      const at = now();
      const parts = await Promise.all(
        OVERVIEW_PARTS.map(async (part) => [part, await answerOf(part, principal, at)] as const),
      );
      return { status: 200, body: { at: new Date(at).toISOString(), ...Object.fromEntries(parts) } };
    },
  };
}
