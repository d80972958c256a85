/**
 * Arrow keys, Home and End inside a set of focusable elements of which only the first is a stop of the Tab key.
 * @param event keydown that bubbled to the set's container
 * @param selector of the focusable elements
 */
export function moveFocus(event: KeyboardEvent, selector: string): void {
  const container = event.currentTarget;
  if (!(container instanceof HTMLElement) || !(event.target instanceof HTMLElement)) return;
  const all = [...container.querySelectorAll<HTMLElement>(selector)];
  const current = all.indexOf(event.target);
  if (current === -1) return;
  const next = all[targetIndex(event.key, all, current)];
  if (next === undefined || next === event.target) return;
  event.preventDefault();
  next.focus();
  next.scrollIntoView({ block: 'nearest' });
}

function targetIndex(key: string, all: HTMLElement[], current: number): number {
  switch (key) {
    case 'ArrowRight':
      return Math.min(current + 1, all.length - 1);
    case 'ArrowLeft':
      return Math.max(current - 1, 0);
    case 'Home':
      return 0;
    case 'End':
      return all.length - 1;
    case 'ArrowDown':
      return verticalNeighbour(all, current, 1);
    case 'ArrowUp':
      return verticalNeighbour(all, current, -1);
    default:
      return current;
  }
}

/** The element of the next row whose middle is nearest. */
function verticalNeighbour(all: HTMLElement[], current: number, direction: 1 | -1): number {
  const here = all[current]?.getBoundingClientRect();
  if (here === undefined) return current;
  let best = current;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const [index, element] of all.entries()) {
    const box = element.getBoundingClientRect();
    const down = (box.top - here.top) * direction;
    if (down < here.height / 2) continue;
    const distance = down * 10 + Math.abs(box.left + box.width / 2 - here.left - here.width / 2);
    if (distance < bestDistance) {
      best = index;
      bestDistance = distance;
    }
  }
  return best;
}
