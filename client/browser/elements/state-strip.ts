import { type StripSegment, timeIn } from '../../laundry-strip.js';
import { durationWords } from '../../words.js';
import { define } from '../parts/element.js';

const WIDTH = 1440;
const HEIGHT = 12;
/** Height by status, so that the strip can be read without its colours. */
const HEIGHTS = { busy: 12, idle: 4, unknown: 12 };

const STYLE = `
  :host { display: block; height: 12px; }
  svg { display: block; width: 100%; height: 100%; border-radius: 2px; }
  .busy { fill: var(--fieldloom-busy-strong, #0b5394); }
  .idle { fill: var(--fieldloom-idle-strip, #9fcdb2); }
  .unknown { fill: url(#hatch); }
  .hatch { stroke: var(--fieldloom-line-strong, #9aa3ad); }
`;

const TEMPLATE = `<style>${STYLE}</style>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">
  <defs><pattern id="hatch" width="72" height="12" patternUnits="userSpaceOnUse">
    <path class="hatch" d="M12 12L60 0" stroke-width="1" vector-effect="non-scaling-stroke"/>
  </pattern></defs>
  <path class="unknown"/><path class="idle"/><path class="busy"/>
</svg>`;

/**
 * `<fieldloom-state-strip>`: what a machine was over a span of time, busy full height, idle low, unknown hatched.
 * Property `segments`: stretches `{from, to, status}` without holes, oldest first, times in epoch milliseconds; the
 * attribute of the same name takes them as JSON. Says its sums to a screen reader.
 */
export class StateStrip extends HTMLElement {
  static observedAttributes = ['segments'];
  private drawn: readonly StripSegment[] = [];

  get segments(): readonly StripSegment[] {
    return this.drawn;
  }

  set segments(segments: readonly StripSegment[]) {
    if (segments === this.drawn) return;
    this.drawn = segments;
    if (this.isConnected) this.draw();
  }

  connectedCallback(): void {
    this.draw();
  }

  attributeChangedCallback(_name: string, _old: string | null, json: string | null): void {
    this.segments = json === null ? [] : (JSON.parse(json) as StripSegment[]);
  }

  private draw(): void {
    const shadow = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
    if (shadow.firstChild === null) shadow.innerHTML = TEMPLATE;
    for (const status of ['busy', 'idle', 'unknown'] as const) {
      shadow.querySelector(`path.${status}`)?.setAttribute('d', pathOf(this.drawn, status));
    }
    this.setAttribute('role', 'img');
    this.setAttribute('aria-label', labelOf(this.drawn));
  }
}

function pathOf(segments: readonly StripSegment[], status: StripSegment['status']): string {
  const from = segments[0]?.from ?? 0;
  const span = (segments.at(-1)?.to ?? 0) - from;
  const x = (at: number) => Math.round(((at - from) / span) * WIDTH);
  const height = HEIGHTS[status];
  return segments
    .filter((segment) => segment.status === status)
    .map((segment) => {
      const left = x(segment.from);
      const width = Math.max(1, x(segment.to) - left);
      return `M${left} ${HEIGHT - height}h${width}v${height}h${-width}z`;
    })
    .join('');
}

function labelOf(segments: readonly StripSegment[]): string {
  const first = segments[0];
  const last = segments.at(-1);
  if (first === undefined || last === undefined) return 'No history';
  const sums = Object.entries(timeIn(segments))
    .filter(([, ms]) => ms > 0)
    .map(([status, ms]) => `${status} ${durationWords(ms)}`);
  return `Last ${durationWords(last.to - first.from)}: ${sums.join(', ')}`;
}

define('fieldloom-state-strip', StateStrip);
