import uPlot from 'uplot';
import plotStyle from 'uplot/dist/uPlot.min.css';
import { RoastColumns } from '../../roast-columns.js';
import { EVENT_NAMES } from '../../roast-marks.js';
import { type RoastBackground, type RoastPicture, zeroOf } from '../../roast-picture.js';
import { nearest, RoastTrace, type TraceEvent, type TraceReading } from '../../roast-trace.js';
import { rateWords, roastTime, type TemperatureUnit, temperatureWords } from '../../roast-units.js';
import { define, element, setText } from '../parts/element.js';
import { LEFT_PX, RIGHT_PX, type RoastLook, roastPlot } from '../parts/roast-plot.js';

const STYLE = `
  :host { display: flex; flex-direction: column; position: relative; height: 420px; min-width: 0; border-radius: 4px; }
  :host(:focus-visible) { outline: 2px solid var(--fieldloom-focus, #0b5fbf); outline-offset: 2px; }
  .legend { display: flex; flex-wrap: wrap; gap: 2px 16px; padding: 0 8px 4px; font-size: 12px; line-height: 20px; color: var(--fieldloom-muted, #57606a); }
  .legend span { display: inline-flex; align-items: center; gap: 6px; }
  .legend span::before { content: ""; width: 18px; border-top: 3px solid; }
  .legend .bt::before { border-color: var(--fieldloom-bt, #b0440a); }
  .legend .et::before { border-color: var(--fieldloom-et, #0f766e); border-top-width: 2px; }
  .legend .rate::before { border-color: var(--fieldloom-rate, #4b45c6); border-top-width: 2px; }
  .legend .background::before { border-top: 2px dashed; }
  .room { position: relative; flex: 1; min-height: 0; }
  .plot { position: absolute; inset: 0; }
  .tip { position: absolute; pointer-events: none; top: 26px; padding: 2px 8px; border-radius: 4px; font-size: 12px; line-height: 18px; white-space: pre; background: var(--fieldloom-text, #1a1d21); color: var(--fieldloom-surface, #fff); font-variant-numeric: tabular-nums; z-index: 2; }
  .none { position: absolute; inset: 0; display: grid; place-items: center; text-align: center; padding: 24px; color: var(--fieldloom-muted, #57606a); pointer-events: none; }
  [hidden], .legend [hidden] { display: none; }
  .u-cursor-x { border-color: var(--fieldloom-line-strong, #9aa3ad); }
`;

/**
 * `<fieldloom-roast-chart>`: a roast as it goes. BT and ET on the left axis, rates of rise on the right one, time from
 * CHARGE, phases shaded, events named. Feed it with `take(message)`, the messages of `/ws/live/{machine_id}` as they
 * come, or set `trace` (a RoastTrace). Other properties: `background` (trace and name of a roast underneath, and where a
 * replay of it is), `unit` (`C` or `F`), `recording`, `ended`, `label`, `empty` (what it says without a reading). The
 * arrow keys read it moment by moment, which a screen reader hears.
 */
export class RoastChart extends HTMLElement {
  readonly #background = element('span', { class: 'background', hidden: '' });
  readonly #rate = element('span', { class: 'rate' });
  readonly #plot = element('div', { class: 'plot' });
  readonly #tip = element('div', { class: 'tip', hidden: '' });
  readonly #none = element('div', { class: 'none', hidden: '' });
  readonly #size = new ResizeObserver(() => this.#resize());
  readonly #scheme = new MutationObserver(() => this.#recolour());
  readonly #columns = new RoastColumns();
  #chart: uPlot | undefined;
  #stopListening: (() => void) | undefined;
  #frame: number | undefined;
  /** Whose clock the readings of `take` have. */
  #session: string | null | undefined;
  #look: RoastLook | undefined;
  #empty = 'No reading yet';
  #picture: RoastPicture = { trace: new RoastTrace(), unit: 'C', recording: true, ended: false };

  constructor() {
    super();
    const legend = element(
      'div',
      { class: 'legend', 'aria-hidden': 'true' },
      element('span', { class: 'bt' }, 'BT beans'),
      element('span', { class: 'et' }, 'ET air'),
      this.#rate,
      this.#background,
    );
    const room = element('div', { class: 'room' }, this.#plot, this.#none, this.#tip);
    this.attachShadow({ mode: 'open' }).append(element('style', {}, plotStyle + STYLE), legend, room);
    this.addEventListener('keydown', (event) => this.#press(event));
    this.addEventListener('blur', () => this.#point(undefined));
  }

  /** A message of the live feed as it came. Another session begins another curve. */
  take(message: { type: string }): void {
    if (message.type === 'state')
      this.#turn(message as { type: string; state: string; session_id: string | null });
    if (message.type === 'temperature')
      this.#picture.trace.append(message as TraceReading & { type: string });
    if (message.type === 'event') this.#picture.trace.mark(message as TraceEvent & { type: string });
  }

  #turn({ state, session_id }: { state: string; session_id: string | null }): void {
    if (session_id !== this.#session) this.trace = new RoastTrace();
    this.#session = session_id;
    this.#set({ recording: state === 'recording' || state === 'finished', ended: state === 'finished' });
  }

  get trace(): RoastTrace {
    return this.#picture.trace;
  }
  set trace(trace: RoastTrace) {
    if (trace === undefined || trace === this.#picture.trace) return;
    this.#set({ trace });
    if (this.isConnected) this.#listen();
  }
  set background(background: RoastBackground | undefined) {
    const { background: known } = this.#picture;
    const same = (['trace', 'name', 'replayMs'] as const).every(
      (name) => known?.[name] === background?.[name],
    );
    if (!same) this.#set({ background });
  }
  set unit(unit: TemperatureUnit) {
    this.#set({ unit });
  }
  set recording(recording: boolean) {
    this.#set({ recording });
  }
  set ended(ended: boolean) {
    this.#set({ ended });
  }
  set empty(empty: string) {
    this.#empty = empty;
    this.#schedule();
  }
  set label(label: string) {
    this.setAttribute('aria-label', label);
  }

  connectedCallback(): void {
    this.tabIndex = 0;
    this.setAttribute('role', 'slider');
    this.setAttribute('aria-readonly', 'true');
    if (!this.hasAttribute('aria-label')) this.setAttribute('aria-label', 'Roast curve');
    this.#size.observe(this);
    this.#scheme.observe(document.documentElement, { attributes: true });
    this.#listen();
    this.#recolour();
  }

  disconnectedCallback(): void {
    this.#size.disconnect();
    this.#scheme.disconnect();
    this.#stopListening?.();
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#frame = undefined;
    this.#chart?.destroy();
    this.#chart = undefined;
  }

  #listen(): void {
    this.#stopListening?.();
    this.#stopListening = this.#picture.trace.listen(() => this.#schedule());
  }

  #set(part: Partial<RoastPicture>): void {
    const names = Object.keys(part) as (keyof RoastPicture)[];
    if (names.every((name) => this.#picture[name] === part[name])) return;
    this.#picture = { ...this.#picture, ...part };
    this.#schedule();
  }

  /** However many readings come, it is drawn once a frame. */
  #schedule(): void {
    if (this.#frame !== undefined || !this.isConnected) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#draw();
    });
  }

  #draw(): void {
    const { trace, background, unit } = this.#picture;
    this.#columns.follow(trace);
    const { times, bt, et, btRor, etRor } = this.#columns;
    setText(this.#rate, `RoR °${unit}/min`);
    this.#background.hidden = background?.trace === undefined;
    setText(this.#background, background?.name ?? '');
    this.#none.hidden = times.length > 0 || background?.trace !== undefined;
    setText(this.#none, this.#empty);
    if (this.#chart?.cursor.idx == null) this.#describe(times.length - 1);
    this.setAttribute('aria-valuemin', '0');
    this.setAttribute('aria-valuemax', String(Math.round(Math.max(trace.lastMs, 0) / 1000)));
    // The columns themselves: uPlot reads them, and nothing is copied.
    const data = [times, bt, et, btRor, etRor] as uPlot.AlignedData;
    if (this.#chart === undefined) this.#chart = this.#newChart(data);
    else this.#chart.setData(data);
  }

  #newChart(data: uPlot.AlignedData): uPlot {
    const { clientWidth, clientHeight } = this.#plot;
    const options = roastPlot(
      { width: Math.max(clientWidth, 1), height: Math.max(clientHeight, 1) },
      () => this.#picture,
      () => this.#look as RoastLook,
      (chart) => this.#showTip(chart),
    );
    return new uPlot(options, data, this.#plot);
  }

  #resize(): void {
    const { clientWidth: width, clientHeight: height } = this.#plot;
    if (width > 0 && height > 0) this.#chart?.setSize({ width, height });
  }

  #recolour(): void {
    const style = getComputedStyle(this);
    const of = (token: string, otherwise: string) => style.getPropertyValue(token).trim() || otherwise;
    const font = `12px ${style.fontFamily}`;
    const colours = {
      bt: of('--fieldloom-bt', '#b0440a'),
      et: of('--fieldloom-et', '#0f766e'),
      rate: of('--fieldloom-rate', '#4b45c6'),
      text: of('--fieldloom-text', '#1a1d21'),
      muted: of('--fieldloom-muted', '#57606a'),
      surface: of('--fieldloom-surface', '#ffffff'),
      line: of('--fieldloom-line', '#d9d9e0'),
      phases: {
        drying: of('--fieldloom-drying', '#8a9a2b'),
        maillard: of('--fieldloom-maillard', '#d08a1d'),
        development: of('--fieldloom-development', '#8a4b2a'),
      },
    };
    this.#look = { colours, font };
    this.#schedule();
  }

  #words(index: number): string[] {
    const { trace, unit } = this.#picture;
    const place = this.#columns.places[index];
    const point = place === undefined ? undefined : trace.pointAt(place);
    if (point === undefined) return [];
    const { timeMs, bt, et, btRor } = point;
    const event = [...this.#picture.trace.events].find(
      ([, each]) => nearest(this.#picture.trace.times, each.timeMs) === index,
    );
    return [
      roastTime(timeMs - zeroOf(this.#picture)),
      `BT ${temperatureWords(bt, unit)} °${unit}`,
      `ET ${temperatureWords(et, unit)} °${unit}`,
      `RoR ${rateWords(btRor, unit)}`,
      ...(event === undefined ? [] : [EVENT_NAMES[event[0]]]),
    ];
  }

  #showTip(chart: uPlot): void {
    const { idx, left = -1 } = chart.cursor;
    const words = idx == null ? [] : this.#words(idx);
    this.#tip.hidden = left < 0 || words.length === 0;
    if (this.#tip.hidden) return;
    setText(this.#tip, words.join('\n'));
    const middle = LEFT_PX + left;
    const width = this.#tip.offsetWidth;
    const right = middle + 12 + width < this.clientWidth - RIGHT_PX;
    this.#tip.style.left = `${right ? middle + 12 : Math.max(0, middle - 12 - width)}px`;
  }

  #describe(index: number): void {
    const timeMs = this.#columns.times[index];
    this.setAttribute('aria-valuenow', String(Math.round(Math.max(0, timeMs ?? 0) / 1000)));
    this.setAttribute('aria-valuetext', timeMs === undefined ? this.#empty : this.#words(index).join(', '));
  }

  /** Arrow keys go on by a moment, Page Up and Page Down by thirty; Home and End to the first and the last. */
  #press(event: KeyboardEvent): void {
    const last = this.#columns.times.length - 1;
    if (last < 0 || this.#chart === undefined) return;
    const at = this.#chart.cursor.idx ?? last;
    const target = {
      ArrowLeft: at - 1,
      ArrowRight: at + 1,
      PageUp: at + 30,
      PageDown: at - 30,
      Home: 0,
      End: last,
    }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    this.#point(Math.min(Math.max(target, 0), last));
  }

  #point(index: number | undefined): void {
    const chart = this.#chart;
    if (chart === undefined) return;
    const timeMs = index === undefined ? undefined : this.#columns.times[index];
    if (index === undefined || timeMs === undefined) {
      chart.setCursor({ left: -10, top: -10 });
      return;
    }
    chart.setCursor({ left: chart.valToPos(timeMs, 'x'), top: 1 });
    this.#describe(index);
  }
}

define('fieldloom-roast-chart', RoastChart);
