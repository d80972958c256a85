import type { RefusedItemView, RefusedView } from '../../refused-view.js';
import { define, element, icon, setText } from '../parts/element.js';

/** One refused message; what a person has opened of it stays open while it is drawn again. */
class Letter {
  readonly #ago = element('time');
  readonly #outcome = element('span', { role: 'status' });
  readonly #button = element('button', { type: 'button', class: 'fl-button' }, icon('mdi-replay'), 'Replay');
  readonly box: HTMLElement;

  constructor(item: RefusedItemView, replay: () => void) {
    const { id, code, message, pointer, topic, payload, exact } = item;
    this.#ago.title = exact;
    this.#button.addEventListener('click', replay);
    const fact = (name: string, value: string) =>
      element('div', {}, element('dt', {}, name), element('dd', {}, element('code', {}, value)));
    this.box = element(
      'li',
      { class: 'fl-card fl-letter', 'data-letter': id },
      element('p', { class: 'fl-row' }, element('code', { class: 'fl-code' }, code), this.#ago),
      element('p', { class: 'fl-reason' }, message),
      element('dl', {}, ...(pointer === '' ? [] : [fact('Where', pointer)]), fact('Topic', topic)),
      element(
        'details',
        {},
        element(
          'summary',
          {},
          `Payload, ${payload.bytes} bytes${payload.kind === 'hex' ? ', not text' : ''}`,
        ),
        element('pre', { tabindex: '0', 'aria-label': 'Payload' }, payload.text),
        ...(payload.cut ? [element('p', { class: 'fl-muted' }, 'Only the beginning is shown.')] : []),
      ),
      element('p', { class: 'fl-row' }, this.#button, this.#outcome),
    );
    this.say(item);
  }

  say({ ago, replay }: RefusedItemView): void {
    setText(this.#ago, ago);
    setText(this.#outcome, replay.text);
    this.#outcome.className = `fl-outcome fl-outcome-${replay.kind}`;
    this.#button.disabled = replay.kind === 'pending';
  }
}

/**
 * `<fieldloom-refused>`: messages that were refused, each with its reason, place and payload. Property `view`: a
 * RefusedView. Event `replay` (detail: the message's id).
 */
export class Refused extends HTMLElement {
  readonly #failure = element('div', { class: 'fl-notice fl-failure', role: 'alert' });
  readonly #loading = element(
    'div',
    { class: 'fl-bone fl-bone-tile', role: 'status' },
    element('span', { class: 'fl-hidden' }, 'Loading'),
  );
  readonly #none = element(
    'div',
    { class: 'fl-nothing' },
    icon('mdi-check-circle-outline'),
    ' Nothing was refused.',
  );
  readonly #list = element('ol', { class: 'fl-letters' });
  readonly #letters = new Map<string, Letter>();

  set view({ problem, loading, none, items }: RefusedView) {
    setText(this.#failure, problem?.message ?? '');
    this.#failure.hidden = problem === undefined;
    this.#loading.hidden = !loading;
    this.#none.hidden = problem !== undefined || loading || !none;
    const wanted = items.map((item) => {
      const letter = this.#letters.get(item.id) ?? this.#newLetter(item);
      letter.say(item);
      return letter.box;
    });
    for (const id of this.#letters.keys()) {
      if (!items.some((item) => item.id === id)) this.#letters.delete(id);
    }
    // What has the focus must not leave the document while only the seconds change.
    const same =
      wanted.length === this.#list.children.length &&
      wanted.every((box, at) => box === this.#list.children[at]);
    if (!same) this.#list.replaceChildren(...wanted);
  }

  connectedCallback(): void {
    this.replaceChildren(this.#failure, this.#loading, this.#none, this.#list);
  }

  #newLetter(item: RefusedItemView): Letter {
    const letter = new Letter(item, () => this.dispatchEvent(new CustomEvent('replay', { detail: item.id })));
    this.#letters.set(item.id, letter);
    return letter;
  }
}

define('fieldloom-refused', Refused);
