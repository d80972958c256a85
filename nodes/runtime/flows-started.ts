import type { NodeAPI } from 'node-red';

const waiting = new WeakMap<object, (() => void)[]>();

/**
 * Calls back when all nodes of the deploy are there: what leaves by a wire before that may reach nobody. All nodes
 * share one listener, since Node-RED warns of more than ten.
 */
export function whenFlowsStarted({ events }: NodeAPI, callback: () => void): void {
  const callbacks = waiting.get(events) ?? [];
  waiting.set(events, callbacks);
  if (callbacks.length === 0) {
    events.once('flows:started', () => {
      for (const each of callbacks.splice(0)) each();
    });
  }
  callbacks.push(callback);
}
