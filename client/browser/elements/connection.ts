import type { ConnectionView } from '../../connection-view.js';
import { define, element, icon, setText } from '../parts/element.js';

/** What is said aloud as it changes: not the seconds. */
const SPOKEN: Record<ConnectionView['look'], string> = {
  connecting: 'Connecting',
  live: 'Live',
  stale: 'Connection lost',
  disconnected: 'Not connected',
};

/** `<fieldloom-connection>`: in a word whether the page is live. Property `view`: a ConnectionView. */
export class Connection extends HTMLElement {
  readonly #sign = icon('');
  readonly #word = element('span', { 'aria-hidden': 'true' });
  readonly #spoken = element('span', { class: 'fl-hidden', role: 'status' });
  readonly #line = element('p', {}, this.#sign, this.#word, this.#spoken);

  set view(view: ConnectionView) {
    this.#line.className = `fl-connection fl-${view.look}`;
    this.#sign.className = `mdi ${view.icon}`;
    setText(this.#word, view.word);
    setText(this.#spoken, SPOKEN[view.look]);
  }

  connectedCallback(): void {
    this.replaceChildren(this.#line);
  }
}

define('fieldloom-connection', Connection);
