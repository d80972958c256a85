import { COMMAND, type FirstStep } from '../../first-step.js';
import { copyText } from '../parts/copy.js';
import { define, element, icon } from '../parts/element.js';

/** `<fieldloom-first-steps>`: commands to copy, one below the other. Property `steps`: titles and commands. */
export class FirstSteps extends HTMLElement {
  #known: readonly FirstStep[] = [];

  set steps(steps: readonly FirstStep[]) {
    if (steps === this.#known) return;
    this.#known = steps;
    if (this.isConnected) this.#draw();
  }

  connectedCallback(): void {
    this.#draw();
  }

  #draw(): void {
    this.replaceChildren(
      element('ol', { class: 'fl-steps' }, ...this.#known.map(stepItem)),
      element(
        'p',
        { class: 'fl-muted' },
        'Where the package is installed in a Node-RED of your own, write ',
        element('code', {}, 'npx fieldloom'),
        ' for ',
        element('code', {}, COMMAND),
        '.',
      ),
    );
  }
}

function stepItem({ title, command }: FirstStep): HTMLElement {
  const sign = icon('mdi-content-copy');
  const word = element('span', { 'aria-live': 'polite' }, 'Copy');
  const button = element(
    'button',
    { type: 'button', class: 'fl-button' },
    sign,
    word,
    element('span', { class: 'fl-hidden' }, `the command: ${title}`),
  );
  button.addEventListener('click', async () => {
    if (!(await copyText(command))) return;
    sign.className = 'mdi mdi-check';
    word.textContent = 'Copied';
  });
  return element(
    'li',
    {},
    element('h3', {}, title),
    element(
      'div',
      { class: 'fl-command' },
      element('pre', { tabindex: '0', 'aria-label': `${title}: command` }, command),
      button,
    ),
  );
}

define('fieldloom-first-steps', FirstSteps);
