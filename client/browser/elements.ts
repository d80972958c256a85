/** The custom elements alone, for the pages of others: `<script type="module" src="/fieldloom/client/elements.js">`. */
export { CurveElement } from './elements/curve.js';
export { RoastChart } from './elements/roast-chart.js';
export { StateStrip } from './elements/state-strip.js';
