import type { Clock } from '../lib/core/clock.js';
import type { Api } from './api.js';
import { type ListWire, listPages } from './lists.js';
import { Repeat } from './repeat.js';
import { type Change, changeOf, machineKey, type Row, rowOf } from './solar-fleet.js';
import {
  forgetBefore,
  merged,
  type Sample,
  type Series,
  SPANS,
  type Span,
  sampleOfPoint,
  sampleOfRow,
} from './solar-series.js';
import type { PointWire, StatusChangeWire, TelemetryWire } from './solar-wire.js';

export interface FollowedMachinePorts {
  api: Api;
  clock: Clock;
  /** Runs a repeated request where that makes sense now, and takes care of its failure. */
  ask(task: () => Promise<void>): Promise<void>;
  failed(error: unknown): void;
  /** `past` is another now. */
  changed(): void;
}

/** What of the opened machine's past is at hand. */
export interface Past {
  /** By their span; missing until somebody looks at it, empty while nothing has come. */
  series: ReadonlyMap<Span, Series>;
  /** Spans whose first answer is still to come. */
  loading: ReadonlySet<Span>;
  /** The last row, as it came. */
  newest: Sample | undefined;
  /** Newest first; undefined until they came. */
  changes: readonly Change[] | undefined;
}

const PAGE = 1000;
/** An hour with a row each second fits twice; past it, the curve of the hour is shorter. */
const PAGES = 8;
const CHANGES = 20;

/** The machine that is open: its curves and how its status has changed. What comes live is told to it. */
export class FollowedMachine {
  readonly key: string;
  past: Past = { series: new Map(), loading: new Set(), newest: undefined, changes: undefined };
  private readonly ports: FollowedMachinePorts;
  private readonly path: string;
  private readonly refresh: Repeat;
  private span: Span;
  /** Rows have come that are older than what is shown: minutes and hours from there on are to be loaded again. */
  private late: { from: number; until: number } | undefined;
  private closed = false;

  constructor(
    companyId: string,
    machineId: string,
    span: Span,
    newest: Row | undefined,
    ports: FollowedMachinePorts,
  ) {
    this.ports = ports;
    this.key = machineKey(companyId, machineId);
    this.path = `companies/${encodeURIComponent(companyId)}/machines/${encodeURIComponent(machineId)}`;
    this.span = span;
    this.refresh = new Repeat(
      ports.clock,
      () => this.pace(),
      () => ports.ask(() => this.loadTail()),
    );
    if (newest !== undefined) this.past = { ...this.past, newest: sampleOfRow(newest) };
    this.loadAll();
  }

  look(span: Span): void {
    if (span === this.span) return;
    this.span = span;
    if (this.past.series.has(span)) this.refresh.now();
    else this.load(span);
  }

  /** A row came live. */
  take(row: Row): void {
    const sample = sampleOfRow(row);
    const { newest } = this.past;
    if (newest !== undefined && sample.at < newest.at - LATE_MS) this.takeLate(sample.at);
    const { series } = this.past;
    const raw = series.get('1h');
    const isNewest = newest === undefined || sample.at >= newest.at;
    this.change({
      ...(isNewest && { newest: sample }),
      ...(raw !== undefined && {
        series: new Map(series).set('1h', this.trimmed('1h', merged(raw, [sample]))),
      }),
    });
  }

  /** It tells of its past, as a machine does that had no network: its minutes are summed up a little later. */
  private takeLate(at: number): void {
    const now = this.ports.clock.now();
    this.late = { from: Math.min(at, this.late?.from ?? at), until: now + SUMMED_UP_MS };
    const kept = [...this.past.series].filter(([span]) => span === '1h' || span === this.span);
    if (kept.length < this.past.series.size) this.change({ series: new Map(kept) });
    this.refresh.within(this.pace());
  }

  private pace(): number {
    const { refreshMs } = SPANS[this.span];
    return Math.min(this.late === undefined ? refreshMs : LATE_EVERY_MS, refreshMs, LONGEST_TIMER_MS);
  }

  /** Its shown status became another. */
  takeChange(change: Change): void {
    const { changes } = this.past;
    if (
      changes === undefined ||
      changes.some(({ at, status }) => at === change.at && status === change.status)
    )
      return;
    this.change({ changes: [change, ...changes].sort((a, b) => b.at - a.at).slice(0, CHANGES) });
  }

  /** The live feed has begun anew: what came in between is only in the history. */
  loadAll(): void {
    this.load(this.span);
    this.ports.ask(() => this.loadChanges());
  }

  close(): void {
    this.closed = true;
    this.refresh.stop();
  }

  private load(span: Span): void {
    const { series } = this.past;
    const known = series.get(span);
    if (known === undefined) {
      this.change({ loading: new Set(this.past.loading).add(span), series: new Map(series).set(span, []) });
    }
    const now = this.ports.clock.now();
    // A row may come late by so much and be missed; the next opening has it.
    const from = Math.max(now - SPANS[span].ms, (known?.at(-1)?.at ?? 0) - SENT_LATE_MS);
    this.loadSeries(span, from)
      .catch((error: unknown) => {
        this.ports.failed(error);
        // Nothing of it is at hand: the next look tries again.
        if (this.past.series.get(span)?.length === 0) {
          const without = new Map(this.past.series);
          without.delete(span);
          this.change({ series: without });
        }
      })
      .finally(() => {
        const loading = new Set(this.past.loading);
        loading.delete(span);
        this.change({ loading });
        this.refresh.within(this.pace());
      });
  }

  /** Newest first, page by page, so that curves grow from now into the past. */
  private async loadSeries(span: Span, from: number): Promise<void> {
    const { resolution } = SPANS[span];
    const query = `resolution=${resolution}&from=${new Date(from).toISOString()}&limit=${PAGE}`;
    const pages = listPages<TelemetryWire | PointWire>(
      this.ports.api,
      `${this.path}/telemetry?${query}`,
      PAGES,
    );
    for await (const items of pages) {
      if (this.closed) return;
      const samples = items.map((item) =>
        resolution === 'raw' ? sampleOfRow(rowOf(item as TelemetryWire)) : sampleOfPoint(item as PointWire),
      );
      const loading = new Set(this.past.loading);
      loading.delete(span);
      const series = this.trimmed(span, merged(this.past.series.get(span) ?? [], samples));
      this.change({ loading, series: new Map(this.past.series).set(span, series) });
    }
  }

  /** Minutes and hours that have ended, or grown, since they were loaded. */
  private async loadTail(): Promise<void> {
    const { span } = this;
    const known = this.past.series.get(span);
    if (SPANS[span].resolution === 'raw' || known === undefined) return;
    const { late } = this;
    const now = this.ports.clock.now();
    const begin = now - SPANS[span].ms;
    const tail = known.at(-1)?.at ?? begin;
    await this.loadSeries(span, Math.max(Math.min(tail, late?.from ?? tail), begin));
    if (late === this.late && late !== undefined && now > late.until) this.late = undefined;
  }

  private async loadChanges(): Promise<void> {
    const path = `${this.path}/status/history?limit=${CHANGES}`;
    const { items } = (await this.ports.api.request(path)) as ListWire<StatusChangeWire>;
    this.change({ changes: items.map(changeOf) });
  }

  /** A page that stays open for days keeps no more than it shows. */
  private trimmed(span: Span, series: Series): Series {
    return forgetBefore(series, this.ports.clock.now() - SPANS[span].ms - SPANS[span].stepMs);
  }

  private change(part: Partial<Past>): void {
    if (this.closed) return;
    this.past = { ...this.past, ...part };
    this.ports.changed();
  }
}

const SENT_LATE_MS = 10 * 60_000;
/** A row of this age is of the past; those that are younger are summed up with the running minute. */
const LATE_MS = 60_000;
/** So long after the last of them the gateway has summed them up. */
const SUMMED_UP_MS = 3 * 60_000;
const LATE_EVERY_MS = 15_000;
/** Longer timers fire at once in a browser. */
const LONGEST_TIMER_MS = 24 * 60 * 60_000;
