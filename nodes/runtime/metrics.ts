import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Figures of one part: name, help, and their values at the moment of asking, by labels. */
export interface Figure {
  /** As Prometheus names them: `fieldloom_<what>_<unit>`; ends in `_total` where it only grows. */
  name: string;
  help: string;
  labels?: readonly string[];
  read(): { value: number; labels?: Record<string, string> }[];
}

const registry = new Registry();
const sources = new Map<string, { figures: Set<Figure> }>();
let processMetrics = false;

/**
 * Shows a figure in `/metrics`. Several nodes may show the same one with different labels; the values are read
 * when asked for, so that nothing is kept twice.
 * @returns what removes it again
 */
export function addFigure(figure: Figure): () => void {
  let source = sources.get(figure.name);
  if (source === undefined) {
    const figures = new Set<Figure>();
    const Kind = figure.name.endsWith('_total') ? Counter : Gauge;
    new Kind({
      name: figure.name,
      help: figure.help,
      labelNames: figure.labels ?? [],
      registers: [registry],
      collect() {
        this.reset();
        for (const each of figures) {
          for (const { value, labels } of each.read()) this.inc(labels ?? {}, value);
        }
      },
    });
    source = { figures };
    sources.set(figure.name, source);
  }
  source.figures.add(figure);
  const { figures } = source;
  return () => {
    figures.delete(figure);
    if (figures.size === 0 && sources.get(figure.name)?.figures === figures) {
      sources.delete(figure.name);
      registry.removeSingleMetric(figure.name);
    }
  };
}

export interface Distribution {
  observe(value: number): void;
  remove(): void;
}

const distributions = new Map<string, { histogram: Histogram; users: number }>();

/**
 * Shows how values are spread in `/metrics`. Several nodes may add to the same one; it goes with the last of them.
 * @param buckets upper bounds
 */
export function addDistribution(name: string, help: string, buckets: number[]): Distribution {
  let shown = distributions.get(name);
  if (shown === undefined) {
    shown = { histogram: new Histogram({ name, help, buckets, registers: [registry] }), users: 0 };
    distributions.set(name, shown);
  }
  const { histogram } = shown;
  const mine = shown;
  mine.users += 1;
  return {
    observe: (value) => histogram.observe(value),
    remove() {
      mine.users -= 1;
      if (mine.users > 0) return;
      distributions.delete(name);
      registry.removeSingleMetric(name);
    },
  };
}

/** All figures and those of the process in the Prometheus text format, and the content type of it. */
export async function metricsText(): Promise<{ type: string; text: string }> {
  if (!processMetrics) {
    processMetrics = true;
    collectDefaultMetrics({ register: registry });
  }
  return { type: registry.contentType, text: await registry.metrics() };
}
