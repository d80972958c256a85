import type { Problem } from '../../api.js';
import type { ConnectionView } from '../../connection-view.js';
import { define, element, icon, setChildren, setText } from '../parts/element.js';

/** One box: what is wrong, said aloud once, and more about it, which may change each second. */
class Notice {
  readonly title: HTMLElement;
  readonly text = element('p');
  readonly box: HTMLElement;

  constructor(look: string, sign: string, loud: boolean, press: HTMLElement) {
    this.title = element('strong', loud ? { role: 'alert' } : {});
    this.box = element(
      'div',
      { class: `fl-notice ${look}` },
      icon(sign),
      element('div', {}, this.title, this.text),
      press,
    );
  }

  say(title: string, text: string): HTMLElement {
    setText(this.title, title);
    setText(this.text, text);
    return this.box;
  }
}

/**
 * `<fieldloom-notices>`: what a page says where it is stale, disconnected or in part not loaded; empty while all is
 * well. Properties `connection` (a ConnectionView), `problem` (code and message, or nothing) of a part, and `failure`,
 * the same of the whole; event `again` when somebody wants another try.
 */
export class Notices extends HTMLElement {
  readonly #stale = new Notice('fl-stale-notice', 'mdi-clock-alert-outline', false, this.#press('Try now'));
  readonly #gone = new Notice('fl-gone', 'mdi-lan-disconnect', true, this.#press('Try now'));
  readonly #failure = new Notice('fl-failure', 'mdi-alert-octagon-outline', true, this.#press('Try again'));
  #known: { connection?: ConnectionView; problem?: Problem | undefined; failure?: Problem | undefined } = {};

  set connection(connection: ConnectionView) {
    this.#known = { ...this.#known, connection };
    this.#draw();
  }

  set problem(problem: Problem | undefined) {
    this.#known = { ...this.#known, problem };
    this.#draw();
  }

  set failure(failure: Problem | undefined) {
    this.#known = { ...this.#known, failure };
    this.#draw();
  }

  connectedCallback(): void {
    this.#draw();
  }

  #draw(): void {
    const { connection, problem, failure } = this.#known;
    const wanted: HTMLElement[] = [];
    if (connection?.look === 'stale') wanted.push(this.#stale.say(connection.word, connection.text));
    if (connection?.look === 'disconnected') {
      wanted.push(this.#gone.say('Not connected to the gateway', connection.text));
    }
    const wrong = failure ?? problem;
    if (wrong !== undefined) {
      const title = failure ? 'The gateway answered with an error' : 'Part of this page could not be loaded';
      wanted.push(this.#failure.say(title, `${wrong.message} (${wrong.code})`));
    }
    setChildren(this, wanted);
  }

  #press(text: string): HTMLButtonElement {
    const button = element('button', { type: 'button', class: 'fl-button' }, text);
    button.addEventListener('click', () => this.dispatchEvent(new CustomEvent('again')));
    return button;
  }
}

define('fieldloom-notices', Notices);
