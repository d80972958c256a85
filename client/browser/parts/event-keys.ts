const TYPING = 'input:not([type="range"]):not([type="checkbox"]):not([type="radio"]), textarea, select';

/** True where a key press is text, or is meant for something else than the page. */
export function isTyping(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return true;
  if (document.querySelector('dialog[open]') !== null) return true;
  const target = event.composedPath()[0];
  return target instanceof HTMLElement && (target.isContentEditable || target.matches(TYPING));
}
