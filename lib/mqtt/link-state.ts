import type { LinkState } from '../core/link.js';

type Listener = (state: LinkState, reason?: Error) => void;

/** The state of a link and who wants to know of it. */
export class LinkStateHolder {
  #state: LinkState;
  readonly #listeners = new Set<Listener>();

  constructor(state: LinkState) {
    this.#state = state;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Closed is the end: later changes are ignored. */
  set(state: LinkState, reason?: Error): void {
    if (this.#state === 'closed' || (this.#state === state && reason === undefined)) return;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state, reason);
  }

  onState(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
