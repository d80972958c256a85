import type { LoginState } from '../../login.js';
import { define, element, setText } from '../parts/element.js';

export interface LoginDetail {
  username: string;
  password: string;
}

/**
 * `<fieldloom-login>`: the form to log in. Attributes `heading`, `action` (the button's words, "Log in" by default),
 * and `cancellable`. Property `state`: whether it is on its way, and why it failed. Events `login` (detail: username,
 * password) and `cancel`.
 */
export class Login extends HTMLElement {
  readonly #heading = element('h2');
  readonly #failure = element('p', { class: 'fl-error-text', role: 'alert' });
  readonly #button = element('button', { type: 'submit', class: 'fl-button fl-primary' });
  readonly #giveUp = element('button', { type: 'button', class: 'fl-button fl-plain' }, 'Cancel');
  readonly #form = element(
    'form',
    { class: 'fl-login' },
    this.#heading,
    element(
      'label',
      {},
      'Name ',
      element('input', {
        name: 'username',
        autocomplete: 'username',
        autocapitalize: 'none',
        required: '',
      }),
    ),
    element(
      'label',
      {},
      'Password ',
      element('input', {
        name: 'password',
        type: 'password',
        autocomplete: 'current-password',
        required: '',
      }),
    ),
    this.#failure,
    element('div', { class: 'fl-row' }, this.#button, this.#giveUp),
  );

  constructor() {
    super();
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      const entered = new FormData(this.#form);
      const detail: LoginDetail = {
        username: String(entered.get('username')),
        password: String(entered.get('password')),
      };
      this.dispatchEvent(new CustomEvent('login', { detail }));
    });
    this.#giveUp.addEventListener('click', () => this.dispatchEvent(new CustomEvent('cancel')));
  }

  set state(state: LoginState | undefined) {
    const pending = state?.pending === true;
    setText(this.#failure, state?.error ?? '');
    this.#failure.hidden = state?.error === undefined;
    this.#button.disabled = pending;
    setText(this.#button, pending ? 'Logging in …' : (this.getAttribute('action') ?? 'Log in'));
  }

  connectedCallback(): void {
    setText(this.#heading, this.getAttribute('heading') ?? 'Log in');
    setText(this.#button, this.getAttribute('action') ?? 'Log in');
    this.#giveUp.hidden = !this.hasAttribute('cancellable');
    this.replaceChildren(this.#form);
  }
}

define('fieldloom-login', Login);
