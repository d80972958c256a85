import type uPlot from 'uplot';
import type { Limits } from '../../../lib/command/limits.js';
import type { Curve } from '../../pond-curve.js';

/** Room above and below what is drawn, as a share of it. */
const ROOM = 0.12;

/** The values that are drawn and their limits, with some room. */
export function valueRange({
  values,
  low = [],
  high = [],
  limits,
  least,
  decimals,
}: Curve): [from: number, to: number] {
  let from = limits?.min ?? Number.POSITIVE_INFINITY;
  let to = limits?.max ?? Number.NEGATIVE_INFINITY;
  for (const bound of [limits?.min, limits?.max, least, ...values, ...low, ...high]) {
    if (bound == null) continue;
    from = Math.min(from, bound);
    to = Math.max(to, bound);
  }
  if (from > to) return [0, 1];
  const room = Math.max((to - from) * ROOM, 2 / 10 ** decimals);
  return [from === least ? from : from - room, to + room];
}

/** Tints what is out of limits and draws a broken line at each, below the curve. */
export function drawLimits(
  chart: uPlot,
  limits: Limits | undefined,
  { zone, line }: { zone: string; line: string },
): void {
  const { ctx, bbox } = chart;
  const bottom = bbox.top + bbox.height;
  const edges = [
    { limit: limits?.max, outside: (y: number) => [bbox.top, y] as const },
    { limit: limits?.min, outside: (y: number) => [y, bottom] as const },
  ];
  ctx.save();
  for (const { limit, outside } of edges) {
    if (limit === undefined) continue;
    const y = Math.min(Math.max(chart.valToPos(limit, 'y', true), bbox.top), bottom);
    const [top, end] = outside(y);
    ctx.fillStyle = zone;
    ctx.fillRect(bbox.left, top, bbox.width, end - top);
    ctx.strokeStyle = line;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, Math.round(y));
    ctx.lineTo(bbox.left + bbox.width, Math.round(y));
    ctx.stroke();
  }
  ctx.restore();
}

/** One colour inside the limits, another outside. */
export function lineColour(
  chart: uPlot,
  limits: Limits | undefined,
  inside: string,
  outside: string,
): string | CanvasGradient {
  const { ctx, bbox } = chart;
  if (limits?.min === undefined && limits?.max === undefined) return inside;
  const share = (limit: number) =>
    Math.min(Math.max((chart.valToPos(limit, 'y', true) - bbox.top) / bbox.height, 0), 1);
  const top = limits.max === undefined ? 0 : share(limits.max);
  const bottom = limits.min === undefined ? 1 : share(limits.min);
  const gradient = ctx.createLinearGradient(0, bbox.top, 0, bbox.top + bbox.height);
  const stops: [number, string][] = [
    [0, limits.max === undefined ? inside : outside],
    [top, limits.max === undefined ? inside : outside],
    [top, inside],
    [bottom, inside],
    [bottom, limits.min === undefined ? inside : outside],
    [1, limits.min === undefined ? inside : outside],
  ];
  for (const [at, colour] of stops) gradient.addColorStop(at, colour);
  return gradient;
}
