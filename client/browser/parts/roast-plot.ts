import type uPlot from 'uplot';
import { rateMarks, temperatureMarks, timeMarks } from '../../roast-axes.js';
import { eventMarks } from '../../roast-marks.js';
import { phasesOf } from '../../roast-phases.js';
import {
  type RoastPicture,
  rateRangeOf,
  replayAt,
  shiftOf,
  temperatureRangeOf,
  timeRangeOf,
  zeroOf,
} from '../../roast-picture.js';
import { rateIn, roastTime, temperatureIn } from '../../roast-units.js';
import {
  drawBackground,
  drawEnds,
  drawMarks,
  drawPhases,
  namePhases,
  type RoastColours,
} from './roast-drawing.js';

export const LEFT_PX = 40;
export const RIGHT_PX = 34;
const BOTTOM_PX = 24;
/** A mark of the time axis needs so much room. */
const TIME_MARK_PX = 44;

export interface RoastLook {
  colours: RoastColours;
  /** 12 px of it. */
  font: string;
}

/**
 * How uPlot draws a roast. What it draws and how it looks are asked for anew at each drawing.
 * @param pointed called as the cursor moves
 */
export function roastPlot(
  size: { width: number; height: number },
  picture: () => RoastPicture,
  look: () => RoastLook,
  pointed: (chart: uPlot) => void,
): uPlot.Options {
  const colours = () => look().colours;
  /** In the pixels of the canvas. */
  const font = (chart: uPlot) => {
    const ratio = chart.bbox.width / chart.over.clientWidth || 1;
    return look().font.replace(/^\d+px/, `${Math.round(12 * ratio)}px`);
  };
  const phases = () => {
    const { events, lastMs } = picture().trace;
    return phasesOf(events, Math.max(lastMs, 0));
  };
  const axis = { stroke: () => colours().muted, font: look().font, ticks: { show: false } };
  const grid = { stroke: () => colours().line, width: 1 };
  const line = (scale: string, stroke: (colours: RoastColours) => string, width: number) => ({
    scale,
    stroke: () => stroke(colours()),
    width,
    points: { show: false },
    spanGaps: false,
  });
  return {
    ...size,
    ms: 1,
    padding: [10, 0, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 8 } },
    scales: {
      x: { time: false, range: () => timeRangeOf(picture()) },
      celsius: { range: () => temperatureRangeOf(picture()) },
      rate: { range: () => rateRangeOf(picture()) },
    },
    axes: [
      {
        ...axis,
        grid,
        size: BOTTOM_PX,
        splits: (chart, _axis, from, to) => {
          const least = ((to - from) * TIME_MARK_PX) / Math.max(chart.over.clientWidth, 1);
          return timeMarks([from, to], zeroOf(picture()), least);
        },
        values: (_chart, splits) => splits.map((split) => roastTime(split - zeroOf(picture()))),
      },
      {
        ...axis,
        scale: 'celsius',
        grid,
        size: LEFT_PX,
        splits: (_chart, _axis, from, to) => temperatureMarks([from, to], picture().unit),
        values: (_chart, splits) =>
          splits.map((split) => String(Math.round(temperatureIn(split, picture().unit)))),
      },
      {
        ...axis,
        scale: 'rate',
        side: 1,
        grid: { show: false },
        size: RIGHT_PX,
        stroke: () => colours().rate,
        splits: (_chart, _axis, from, to) => rateMarks([from, to], picture().unit),
        values: (_chart, splits) =>
          splits.map((split) => String(Math.round(rateIn(split, picture().unit))).replace('-', '−')),
      },
    ],
    series: [
      {},
      line('celsius', ({ bt }) => bt, 3),
      line('celsius', ({ et }) => et, 2),
      line('rate', ({ rate }) => rate, 2),
      { ...line('rate', ({ rate }) => rate, 1), dash: [2, 4], alpha: 0.6 },
    ],
    hooks: {
      drawClear: [(chart) => drawPhases(chart, phases(), colours())],
      drawAxes: [
        (chart) => {
          namePhases(chart, phases(), colours(), font(chart));
          const { background } = picture();
          if (background?.trace === undefined) return;
          drawBackground(chart, background.trace, shiftOf(picture()), colours());
        },
      ],
      draw: [
        (chart) => {
          const { trace, unit } = picture();
          drawEnds(chart, trace, replayAt(picture()), colours());
          drawMarks(chart, eventMarks(trace.events, unit), colours(), font(chart));
        },
      ],
      setCursor: [pointed],
    },
  };
}
