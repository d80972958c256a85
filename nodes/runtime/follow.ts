import type { NodeAPI } from 'node-red';
import { PROVIDES, providedBy } from './define-node.js';

/** What another ordinary node of the flow provides: it may come later than who names it, and be made anew. */
export interface Followed<T> {
  /** Undefined while there is no such node. */
  current(): T | undefined;
  close(): void;
}

/**
 * Follows what the node with this id provides, through every deploy.
 * @param id empty: nobody
 * @param attach called with each new one; what it returns is called when that one is gone
 */
export function follow<T extends object>(
  RED: NodeAPI,
  id: string | undefined,
  attach: (provided: T) => () => void,
): Followed<T> {
  let attached: T | undefined;
  let detach = () => {};

  function look(): T | undefined {
    const now = id === undefined || id === '' ? undefined : providedBy<T>(RED, id);
    if (now !== attached) {
      detach();
      attached = now;
      detach = now === undefined ? () => {} : attach(now);
    }
    return now;
  }
  // A node is found by its id once it is made; what it offers may come later.
  RED.events.on('flows:started', look);
  RED.events.on(PROVIDES, look);
  return {
    current: look,
    close() {
      RED.events.off('flows:started', look);
      RED.events.off(PROVIDES, look);
      detach();
    },
  };
}
