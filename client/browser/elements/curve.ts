import uPlot from 'uplot';
import plotStyle from 'uplot/dist/uPlot.min.css';
import type { Curve } from '../../pond-curve.js';
import { clockTime } from '../../words.js';
import { define, element, setText } from '../parts/element.js';
import { drawLimits, lineColour, valueRange } from '../parts/limits.js';

const STYLE = `
  :host { display: block; position: relative; height: 128px; min-width: 0; border-radius: 4px; }
  :host(:focus-visible) { outline: 2px solid var(--fieldloom-focus, #0b5fbf); outline-offset: 2px; }
  .plot { position: absolute; inset: 0; }
  .tip, .none { position: absolute; pointer-events: none; font-size: 12px; line-height: 20px; white-space: nowrap; }
  .tip { top: 0; padding: 0 6px; border-radius: 4px; background: var(--fieldloom-text, #1a1d21); color: var(--fieldloom-surface, #fff); font-variant-numeric: tabular-nums; transform: translateX(-50%); z-index: 2; }
  .none { inset: 0 0 22px 0; display: grid; place-items: center; color: var(--fieldloom-muted, #57606a); }
  [hidden] { display: none; }
  .u-cursor-x { border-color: var(--fieldloom-line-strong, #9aa3ad); }
`;

const Y_AXIS_PX = 44;
const X_AXIS_PX = 22;
/** Half a label of the time axis. */
const RIGHT_PX = 18;
/** Where the values are among the chart's series. */
const VALUES = 3;
/** All curves of a document point at the same moment. */
const SYNC = 'fieldloom-curves';

/**
 * `<fieldloom-curve>`: one measurement over time with its limits drawn in. Property `curve`: times (epoch ms,
 * ascending) and values (null breaks the line), from, to, limits, unit, decimals, label; low and high, where there is a
 * band to draw around the values. The arrow keys read it value by value, which a screen reader hears.
 */
export class CurveElement extends HTMLElement {
  readonly #plot = element('div', { class: 'plot' });
  readonly #tip = element('div', { class: 'tip', hidden: '' });
  readonly #none = element('div', { class: 'none', hidden: '' }, 'Nothing was measured in this time');
  readonly #size = new ResizeObserver(() => this.#resize());
  readonly #scheme = new MutationObserver(() => this.#chart?.redraw(false));
  #chart: uPlot | undefined;
  #shown: Curve | undefined;

  constructor() {
    super();
    const style = element('style', {}, plotStyle + STYLE);
    this.attachShadow({ mode: 'open' }).append(style, this.#plot, this.#none, this.#tip);
    this.addEventListener('keydown', (event) => this.#press(event));
    this.addEventListener('blur', () => this.#point(undefined));
  }

  get curve(): Curve | undefined {
    return this.#shown;
  }

  set curve(curve: Curve | undefined) {
    if (curve === this.#shown) return;
    this.#shown = curve;
    this.#draw();
  }

  connectedCallback(): void {
    this.tabIndex = 0;
    this.setAttribute('role', 'slider');
    this.setAttribute('aria-readonly', 'true');
    this.#size.observe(this);
    this.#scheme.observe(document.documentElement, { attributes: true });
    this.#draw();
  }

  disconnectedCallback(): void {
    this.#size.disconnect();
    this.#scheme.disconnect();
    this.#chart?.destroy();
    this.#chart = undefined;
  }

  #draw(): void {
    if (!this.isConnected || this.#shown === undefined) return;
    const { times, values, from, to, label } = this.#shown;
    const last = values.findLastIndex((value) => value !== null);
    this.setAttribute('aria-label', label);
    this.setAttribute('aria-valuemin', String(from));
    this.setAttribute('aria-valuemax', String(to));
    if (this.#chart === undefined || this.#chart.cursor.idx == null) this.#describe(last);
    this.#none.hidden = last !== -1;
    const nothing = values.map(() => null);
    const { low = nothing, high = nothing } = this.#shown;
    const data = [times, low, high, values] as unknown as uPlot.AlignedData;
    if (this.#chart === undefined) this.#chart = this.#newChart(data);
    else this.#chart.setData(data);
  }

  #newChart(data: uPlot.AlignedData): uPlot {
    const text = () => this.#colour('--fieldloom-muted', '#57606a');
    const grid = { stroke: () => this.#colour('--fieldloom-line', '#d9d9e0'), width: 1 };
    const curve = () => this.#shown as Curve;
    const font = `11px ${getComputedStyle(this).fontFamily}`;
    const options: uPlot.Options = {
      width: Math.max(this.clientWidth, 1),
      height: Math.max(this.clientHeight, 1),
      ms: 1,
      padding: [8, RIGHT_PX, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false },
        // The band has none.
        points: { size: (_chart, series) => (series === VALUES ? 8 : 0) },
        sync: { key: SYNC, setSeries: false, scales: ['x', null] },
      },
      scales: {
        x: { time: true, range: () => [curve().from, curve().to] },
        y: { range: () => valueRange(curve()) },
      },
      axes: [
        {
          stroke: text,
          grid: { show: false },
          ticks: { ...grid, size: 4 },
          font,
          size: X_AXIS_PX,
          space: 64,
          values: (_chart, splits) =>
            splits.map(curve().to - curve().from > DAYS_FROM_MS ? dayAndMonth : hourAndMinute),
        },
        { stroke: text, grid, ticks: { show: false }, font, size: Y_AXIS_PX, space: 28 },
      ],
      // What comes later is drawn above what comes before.
      series: [
        {},
        { width: 0, points: { show: false } },
        { width: 0, points: { show: false } },
        {
          stroke: (chart) =>
            lineColour(
              chart,
              curve().limits,
              this.#colour('--fieldloom-busy-strong', '#0b5394'),
              this.#colour('--fieldloom-failure', '#9b1c24'),
            ),
          width: 2,
          points: { show: false },
          spanGaps: false,
        },
      ],
      bands: [{ series: [2, 1], fill: () => this.#colour('--fieldloom-band', '#cfe3f7') }],
      hooks: {
        drawClear: [
          (chart) =>
            drawLimits(chart, curve().limits, {
              zone: this.#colour('--fieldloom-failure-ground', '#fdeeee'),
              line: this.#colour('--fieldloom-failure', '#9b1c24'),
            }),
        ],
        setCursor: [(chart) => this.#showTip(chart)],
      },
    };
    return new uPlot(options, data, this.#plot);
  }

  #resize(): void {
    if (this.clientWidth > 0) this.#chart?.setSize({ width: this.clientWidth, height: this.clientHeight });
  }

  #colour(token: string, otherwise: string): string {
    return getComputedStyle(this).getPropertyValue(token).trim() || otherwise;
  }

  #showTip(chart: uPlot): void {
    const { idx, left = -1 } = chart.cursor;
    const value = idx == null ? null : this.#shown?.values[idx];
    this.#tip.hidden = left < 0 || value == null;
    if (idx == null || value == null) return;
    setText(this.#tip, this.#words(idx));
    const half = this.#tip.offsetWidth / 2;
    const middle = Y_AXIS_PX + chart.valToPos(this.#shown?.times[idx] ?? 0, 'x');
    this.#tip.style.left = `${Math.min(Math.max(middle, half), this.clientWidth - half)}px`;
  }

  #words(index: number): string {
    const { times = [], values = [], decimals = 1, unit = '' } = this.#shown ?? {};
    const value = values[index];
    const time = times[index];
    if (value == null || time === undefined) return '';
    return `${clockTime(time, Date.now())}  ${value.toFixed(decimals)}${unit === '' ? '' : ` ${unit}`}`;
  }

  #describe(index: number): void {
    const time = this.#shown?.times[index];
    this.setAttribute('aria-valuenow', String(time ?? this.#shown?.to ?? 0));
    this.setAttribute('aria-valuetext', index < 0 ? 'nothing was measured' : this.#words(index));
  }

  /** Arrow keys go from value to value, Home and End to the first and the last one. */
  #press(event: KeyboardEvent): void {
    const { values = [] } = this.#shown ?? {};
    const known = [...values.keys()].filter((index) => values[index] !== null);
    if (known.length === 0 || this.#chart === undefined) return;
    const at = this.#chart.cursor.idx;
    const place = at == null ? known.length : known.findIndex((index) => index >= at);
    const target = {
      ArrowLeft: known[Math.max(place - 1, 0)],
      ArrowRight: known[Math.min(place + 1, known.length - 1)],
      Home: known[0],
      End: known.at(-1),
    }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    this.#point(target);
  }

  #point(index: number | undefined): void {
    const chart = this.#chart;
    if (chart === undefined) return;
    const time = index === undefined ? undefined : this.#shown?.times[index];
    if (index === undefined || time === undefined) {
      chart.setCursor({ left: -10, top: -10 });
      return;
    }
    chart.setCursor({ left: chart.valToPos(time, 'x'), top: 1 });
    this.#describe(index);
  }
}

const HOUR_AND_MINUTE = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
});
const hourAndMinute = (at: number) => HOUR_AND_MINUTE.format(at);
const DAY_AND_MONTH = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const dayAndMonth = (at: number) => DAY_AND_MONTH.format(at);
/** A time axis of more than this names days, ms. */
const DAYS_FROM_MS = 2 * 24 * 60 * 60 * 1000;

define('fieldloom-curve', CurveElement);
