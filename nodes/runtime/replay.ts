import type { NodeAPI } from 'node-red';
import type { DeadLetter } from '../../lib/core/dead-letter.js';
import { FieldloomError } from '../../lib/core/errors.js';

export type ReplayOutcome = { accepted: true } | { accepted: false; code: string; message: string };

/** Takes a refused message through the same path again, and makes no new dead letter of it. */
export type Replay = (letter: DeadLetter) => Promise<ReplayOutcome>;

const replays = new WeakMap<object, Map<string, Set<Replay>>>();

/** From now on dead letters of this protocol can be tried again. @returns what ends it */
export function addReplay(RED: NodeAPI, protocol: string, replay: Replay): () => void {
  const all = replays.get(RED.httpNode) ?? new Map<string, Set<Replay>>();
  replays.set(RED.httpNode, all);
  const own = all.get(protocol) ?? new Set();
  all.set(protocol, own.add(replay));
  return () => {
    own.delete(replay);
  };
}

/**
 * Asks the nodes of the letter's protocol, one after another, until one of them accepts it.
 * @throws FieldloomError conflict where no node reads this protocol; what a node throws
 */
export async function replayed(RED: NodeAPI, letter: DeadLetter): Promise<ReplayOutcome> {
  let outcome: ReplayOutcome | undefined;
  for (const replay of replays.get(RED.httpNode)?.get(letter.protocol) ?? []) {
    const answer = await replay(letter);
    if (answer.accepted) return answer;
    outcome ??= answer;
  }
  if (outcome !== undefined) return outcome;
  throw new FieldloomError('conflict', `no node of the running flows reads messages of ${letter.protocol}`);
}
