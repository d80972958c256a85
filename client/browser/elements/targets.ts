import type { TargetRow, TargetRows } from '../../firmware-targets.js';
import { define, element, icon, setText } from '../parts/element.js';

/** Rows above and below what is seen, so that a short scroll has them already. */
const OVERSCAN = 8;
/** With fewer rows than this below what is seen the next page is asked for. */
const MORE_BELOW = 60;

const HEADS = ['Controller', 'Stage', 'State', 'Note', 'Since'];

/** One row of the table: made once, then filled with whatever is scrolled to. */
class Row {
  readonly #head = element('span', { class: 'fl-id-head' });
  readonly #tail = element('span');
  readonly #stage = element('span', { role: 'gridcell', class: 'fl-target-stage' });
  readonly #sign = icon('');
  readonly #word = element('span');
  readonly #state = element('span', { role: 'gridcell', class: 'fl-target-state' }, this.#sign, this.#word);
  readonly #note = element('span', { role: 'gridcell', class: 'fl-target-note' });
  readonly #time = element('span', { role: 'gridcell', class: 'fl-target-time' });
  readonly #id = element('span', { role: 'gridcell', class: 'fl-target-id' }, this.#head, this.#tail);
  readonly box = element('div', { role: 'row' }, this.#id, this.#stage, this.#state, this.#note, this.#time);

  fill(
    row: TargetRow,
    index: number,
    top: number,
    { opened, focused }: { opened: boolean; focused: boolean },
  ) {
    const { box } = this;
    box.className = `fl-target fl-looks-${row.look}`;
    box.dataset['target'] = row.id;
    box.dataset['index'] = String(index);
    box.style.transform = `translateY(${top}px)`;
    box.setAttribute('aria-rowindex', String(index + 2));
    box.setAttribute('aria-selected', String(opened));
    box.tabIndex = focused ? 0 : -1;
    box.title = `Controller ${row.head}${row.tail} of store ${row.storeId}`;
    setText(this.#head, row.head);
    setText(this.#tail, row.tail);
    setText(this.#stage, row.stage);
    this.#sign.className = `mdi ${row.icon}`;
    setText(this.#word, row.word);
    setText(this.#note, row.note);
    setText(this.#time, row.time);
  }
}

/**
 * `<fieldloom-targets>`: the controllers of a rollout as a table that draws only the rows that are seen. Properties
 * `rows` (TargetRows) and `opened` (the id of the row that is open); events `open` (detail: id) and `more`, where the
 * next rows are wanted. The arrow keys, Page Up and Down, Home and End move, Enter and Space open.
 */
export class TargetsTable extends HTMLElement {
  #rows: TargetRows = { length: 0, at: () => Promise.reject() as never };
  #opened: string | undefined;
  #focus = 0;
  #asked: TargetRows | undefined;
  #scheduled = false;
  readonly #drawn = new Map<number, Row>();
  #spare: Row[] = [];
  readonly #space = element('div', { class: 'fl-target-space', role: 'rowgroup' });
  readonly #scroller = element('div', { class: 'fl-target-scroller' }, this.#space);
  readonly #heads = element(
    'div',
    { class: 'fl-target-heads', role: 'row', 'aria-rowindex': '1' },
    ...HEADS.map((head) => element('span', { role: 'columnheader' }, head)),
  );

  constructor() {
    super();
    this.#scroller.addEventListener('scroll', () => this.#soon(), { passive: true });
    this.#space.addEventListener('click', (event) => this.#open(event));
    this.#space.addEventListener('keydown', (event) => this.#key(event));
    new ResizeObserver(() => this.#soon()).observe(this.#scroller);
  }

  set rows(rows: TargetRows) {
    if (rows === this.#rows) return;
    this.#rows = rows;
    this.#focus = Math.min(this.#focus, Math.max(rows.length - 1, 0));
    this.#draw();
  }

  set opened(id: string | undefined) {
    if (id === this.#opened) return;
    this.#opened = id;
    this.#draw();
  }

  connectedCallback(): void {
    this.setAttribute('role', 'grid');
    this.replaceChildren(this.#heads, this.#scroller);
    this.#draw();
  }

  get #height(): number {
    return Number.parseFloat(getComputedStyle(this).getPropertyValue('--fieldloom-row')) || 40;
  }

  #soon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw();
    });
  }

  #draw(): void {
    if (!this.isConnected) return;
    const height = this.#height;
    const { length } = this.#rows;
    const { scrollTop, clientHeight } = this.#scroller;
    const seen = Math.floor(scrollTop / height);
    const last = Math.min(Math.ceil((scrollTop + clientHeight) / height) + OVERSCAN, length);
    const first = Math.min(Math.max(seen - OVERSCAN, 0), last);
    this.setAttribute('aria-rowcount', String(length + 1));
    this.#space.style.height = `${length * height}px`;
    // The row that has the focus stays, however far it is scrolled away.
    const wanted = new Set<number>(this.#focus < length ? [this.#focus] : []);
    for (let index = first; index < last; index += 1) wanted.add(index);
    for (const [index, row] of this.#drawn) {
      if (wanted.has(index)) continue;
      this.#drawn.delete(index);
      row.box.remove();
      this.#spare.push(row);
    }
    for (const index of wanted) {
      const row = this.#drawn.get(index) ?? this.#newRow(index);
      const shown = this.#rows.at(index);
      const states = { opened: shown.id === this.#opened, focused: index === this.#focus };
      row.fill(shown, index, index * height, states);
    }
    this.#spare = this.#spare.slice(0, OVERSCAN);
    if (last > length - MORE_BELOW && this.#asked !== this.#rows) {
      this.#asked = this.#rows;
      this.dispatchEvent(new CustomEvent('more'));
    }
  }

  #newRow(index: number): Row {
    const row = this.#spare.pop() ?? new Row();
    this.#drawn.set(index, row);
    this.#space.append(row.box);
    return row;
  }

  #open(event: Event): void {
    const row = (event.target as HTMLElement).closest<HTMLElement>('[data-target]');
    if (row === null) return;
    this.#focus = Number(row.dataset['index']);
    this.#draw();
    this.dispatchEvent(new CustomEvent('open', { detail: row.dataset['target'] }));
  }

  #key(event: KeyboardEvent): void {
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      this.#open(event);
      return;
    }
    const page = Math.max(Math.floor(this.#scroller.clientHeight / this.#height) - 1, 1);
    const moves: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -this.#rows.length,
      End: this.#rows.length,
    };
    const move = moves[event.key];
    if (move === undefined) return;
    event.preventDefault();
    this.#focus = Math.min(Math.max(this.#focus + move, 0), this.#rows.length - 1);
    this.#reveal();
    this.#draw();
    this.#drawn.get(this.#focus)?.box.focus({ preventScroll: true });
  }

  #reveal(): void {
    const height = this.#height;
    const top = this.#focus * height;
    const { scrollTop, clientHeight } = this.#scroller;
    if (top < scrollTop) this.#scroller.scrollTop = top;
    else if (top + height > scrollTop + clientHeight) this.#scroller.scrollTop = top + height - clientHeight;
  }
}

define('fieldloom-targets', TargetsTable);
