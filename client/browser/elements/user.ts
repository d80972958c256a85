import { define, element, icon, setChildren, setText } from '../parts/element.js';

/**
 * `<fieldloom-user>`: who is logged in, with a button to log out. Property `username`, empty or undefined where nobody is;
 * with the attribute `offer` it then has a button to log in. Events `logout` and `wanted`.
 */
export class User extends HTMLElement {
  readonly #name = element('span');
  readonly #who = element(
    'span',
    { class: 'fl-muted' },
    icon('mdi-account-outline'),
    ' ',
    element('span', { class: 'fl-hidden' }, 'Logged in as'),
    ' ',
    this.#name,
  );
  readonly #logout = this.#press('Log out', 'logout');
  readonly #login = this.#press('Log in', 'wanted');
  #username: string | undefined;

  set username(username: string | undefined) {
    this.#username = username;
    this.#draw();
  }

  connectedCallback(): void {
    this.#draw();
  }

  #draw(): void {
    const username = this.#username;
    setText(this.#name, username ?? '');
    const offered = this.hasAttribute('offer') ? [this.#login] : [];
    setChildren(this, username ? [this.#who, this.#logout] : offered);
  }

  #press(text: string, event: string): HTMLButtonElement {
    const button = element('button', { type: 'button', class: 'fl-button' }, text);
    button.addEventListener('click', () => this.dispatchEvent(new CustomEvent(event)));
    return button;
  }
}

define('fieldloom-user', User);
