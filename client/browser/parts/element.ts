type Child = Node | string;

/** An element with its attributes and children; no text is ever read as HTML. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Readonly<Record<string, string>> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

/** An icon of the Dashboard's set, which says nothing to a screen reader. */
export const icon = (name: string) => element('i', { class: `mdi ${name}`, 'aria-hidden': 'true' });

/** Leaves the document alone where it says this already. */
export function setText(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/** Makes these the children, and leaves the document alone where they are: a button in it keeps the focus. */
export function setChildren(parent: HTMLElement, wanted: readonly HTMLElement[]): void {
  const same =
    wanted.length === parent.children.length && wanted.every((child, at) => child === parent.children[at]);
  if (!same) parent.replaceChildren(...wanted);
}

/** What an element keeps to itself is `#private`: pages set whatever else they find on it. */
export function define(name: string, made: CustomElementConstructor): void {
  // Two pages of ours may each bring the same element.
  if (customElements.get(name) === undefined) customElements.define(name, made);
}
