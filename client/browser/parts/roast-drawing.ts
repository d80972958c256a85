import type uPlot from 'uplot';
import { type EventMark, placeLabels } from '../../roast-marks.js';
import { PHASE_WORDS, type RoastPhase } from '../../roast-phases.js';
import type { RoastTrace } from '../../roast-trace.js';
import { roastTime, shareWords } from '../../roast-units.js';

/** Colours as the document has them now. */
export interface RoastColours {
  bt: string;
  et: string;
  rate: string;
  text: string;
  muted: string;
  surface: string;
  line: string;
  phases: Record<RoastPhase['kind'], string>;
}

/** Everything here is drawn in the pixels of the canvas. */
const scaled = (chart: uPlot, pixels: number) => pixels * (chart.bbox.width / chart.over.clientWidth || 1);
const PHASE_BAND = 22;

/** Shades the phases, with a band at the top. */
export function drawPhases(chart: uPlot, phases: readonly RoastPhase[], colours: RoastColours): void {
  const { ctx, bbox } = chart;
  ctx.save();
  for (const { kind, left, right } of placed(chart, phases)) {
    ctx.fillStyle = colours.phases[kind];
    ctx.globalAlpha = 0.1;
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.globalAlpha = 0.32;
    ctx.fillRect(left, bbox.top, right - left, scaled(chart, PHASE_BAND));
  }
  ctx.restore();
}

/** Names each phase in its band, where the name fits: over the lines of the grid. */
export function namePhases(
  chart: uPlot,
  phases: readonly RoastPhase[],
  colours: RoastColours,
  font: string,
): void {
  const { ctx, bbox } = chart;
  ctx.save();
  clip(chart);
  ctx.font = font;
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'center';
  ctx.fillStyle = colours.text;
  for (const { kind, fromMs, toMs, share, left, right } of placed(chart, phases)) {
    const long = `${PHASE_WORDS[kind]}  ${roastTime(toMs - fromMs)}  ${shareWords(share)}`;
    const words = [long, `${PHASE_WORDS[kind]} ${shareWords(share)}`, shareWords(share)];
    const fits = words.find((text) => ctx.measureText(text).width < right - left - scaled(chart, 8));
    if (fits === undefined) continue;
    ctx.fillText(fits, (left + right) / 2, bbox.top + scaled(chart, PHASE_BAND) / 2);
  }
  ctx.restore();
}

/** Those phases that are on the chart, and where. */
function placed(chart: uPlot, phases: readonly RoastPhase[]) {
  const { bbox } = chart;
  return phases.flatMap((phase) => {
    const left = Math.max(chart.valToPos(phase.fromMs, 'x', true), bbox.left);
    const right = Math.min(chart.valToPos(phase.toMs, 'x', true), bbox.left + bbox.width);
    return right > left ? [{ ...phase, left, right }] : [];
  });
}

/** Draws another roast underneath. @param shiftMs how far it is moved */
export function drawBackground(
  chart: uPlot,
  background: RoastTrace,
  shiftMs: number,
  colours: RoastColours,
): void {
  const { ctx } = chart;
  ctx.save();
  clip(chart);
  ctx.lineWidth = scaled(chart, 1.5);
  ctx.globalAlpha = 0.55;
  ctx.setLineDash([scaled(chart, 6), scaled(chart, 4)]);
  const lines: [readonly (number | null)[], string, string][] = [
    [background.btRor, 'rate', colours.rate],
    [background.et, 'celsius', colours.et],
    [background.bt, 'celsius', colours.bt],
  ];
  for (const [values, scale, colour] of lines) {
    drawLine(chart, background.times, values, scale, shiftMs, colour);
  }
  ctx.setLineDash([]);
  ctx.fillStyle = colours.muted;
  for (const { timeMs, bt } of background.events.values()) {
    if (bt !== null) dot(chart, timeMs + shiftMs, bt, 3);
  }
  ctx.restore();
}

function drawLine(
  chart: uPlot,
  times: readonly number[],
  values: readonly (number | null)[],
  scale: string,
  shiftMs: number,
  colour: string,
): void {
  const { ctx } = chart;
  ctx.strokeStyle = colour;
  ctx.beginPath();
  let drawing = false;
  let lastX = -Infinity;
  for (let index = 0; index < times.length; index += 1) {
    const value = values[index];
    if (value == null) {
      drawing = false;
      continue;
    }
    const x = chart.valToPos((times[index] as number) + shiftMs, 'x', true);
    // A line needs no more points than there are columns of pixels.
    if (drawing && x - lastX < 1) continue;
    const y = chart.valToPos(value, scale, true);
    if (drawing) ctx.lineTo(x, y);
    else ctx.moveTo(x, y);
    drawing = true;
    lastX = x;
  }
  ctx.stroke();
}

/** Where the curve is now, and where a replay is in the background. */
export function drawEnds(
  chart: uPlot,
  trace: RoastTrace,
  replayMs: number | undefined,
  colours: RoastColours,
): void {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.setLineDash([]);
  clip(chart);
  const { last } = trace;
  for (const [value, colour] of [
    [last?.et, colours.et],
    [last?.bt, colours.bt],
  ] as const) {
    if (last === undefined || value == null) continue;
    ctx.fillStyle = colour;
    dot(chart, last.timeMs, value, 4);
  }
  if (replayMs !== undefined) {
    const x = chart.valToPos(replayMs, 'x', true);
    ctx.strokeStyle = colours.muted;
    ctx.setLineDash([scaled(chart, 3), scaled(chart, 3)]);
    ctx.lineWidth = scaled(chart, 1);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** Names the events at their place on the curve. */
export function drawMarks(
  chart: uPlot,
  marks: readonly EventMark[],
  colours: RoastColours,
  font: string,
): void {
  const { ctx, bbox } = chart;
  const [line, pad] = [scaled(chart, 14), scaled(chart, 5)];
  const shown = marks.filter(({ timeMs }) => {
    const x = chart.valToPos(timeMs, 'x', true);
    return x >= bbox.left - 1 && x <= bbox.left + bbox.width + 1;
  });
  ctx.save();
  ctx.setLineDash([]);
  ctx.font = font;
  ctx.textBaseline = 'top';
  ctx.textAlign = 'left';
  const wishes = shown.map(({ timeMs, bt, title, text }) => ({
    x: chart.valToPos(timeMs, 'x', true),
    y: bt === null ? bbox.top + bbox.height / 2 : chart.valToPos(bt, 'celsius', true),
    width: Math.max(ctx.measureText(title).width, ctx.measureText(text).width) + 2 * pad,
    height: (text === '' ? 1 : 2) * line + pad,
  }));
  const places = placeLabels(wishes, {
    left: bbox.left,
    top: bbox.top + scaled(chart, PHASE_BAND + 2),
    right: bbox.left + bbox.width,
    bottom: bbox.top + bbox.height,
  });
  places.forEach(({ left, top }, index) => {
    const wish = wishes[index];
    const mark = shown[index];
    if (wish === undefined || mark === undefined) return;
    ctx.strokeStyle = colours.muted;
    ctx.lineWidth = scaled(chart, 1);
    ctx.beginPath();
    ctx.moveTo(wish.x, wish.y);
    ctx.lineTo(Math.min(Math.max(wish.x, left), left + wish.width), top < wish.y ? top + wish.height : top);
    ctx.stroke();
    ctx.globalAlpha = 0.9;
    ctx.fillStyle = colours.surface;
    ctx.beginPath();
    ctx.roundRect(left, top, wish.width, wish.height, scaled(chart, 4));
    ctx.fill();
    ctx.globalAlpha = 1;
    ctx.strokeStyle = colours.line;
    ctx.stroke();
    ctx.fillStyle = colours.text;
    ctx.fillText(mark.title, left + pad, top + pad / 2 + scaled(chart, 1));
    ctx.fillStyle = colours.muted;
    ctx.fillText(mark.text, left + pad, top + pad / 2 + line);
    ctx.fillStyle = colours.text;
    if (mark.bt !== null) dot(chart, mark.timeMs, mark.bt, 3.5);
  });
  ctx.restore();
}

function dot(chart: uPlot, timeMs: number, celsius: number, radius: number): void {
  const { ctx } = chart;
  ctx.beginPath();
  const [x, y] = [chart.valToPos(timeMs, 'x', true), chart.valToPos(celsius, 'celsius', true)];
  ctx.arc(x, y, scaled(chart, radius), 0, 2 * Math.PI);
  ctx.fill();
}

function clip({ ctx, bbox }: uPlot): void {
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
}
