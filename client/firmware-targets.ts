import type { Clock } from '../lib/core/clock.js';
import type { Api } from './api.js';
import type { DeploymentState, DeploymentWire } from './firmware-wire.js';
import { DEPLOYMENT_WORDS, type Look, noteOf } from './firmware-words.js';
import type { ListWire } from './lists.js';
import { Repeat } from './repeat.js';
import { clockTime } from './words.js';

export interface TargetFilter {
  state: DeploymentState | undefined;
  /** From 0. */
  stage: number | undefined;
}

export interface TargetRow {
  id: string;
  /** An id in two parts: narrow screens leave the first one out. */
  head: string;
  tail: string;
  storeId: string;
  stage: string;
  look: Look;
  icon: string;
  word: string;
  note: string;
  time: string;
}

/** The rows that are at hand; each is put into words where it is drawn. A new object where one of them is another. */
export interface TargetRows {
  readonly length: number;
  at(index: number): TargetRow;
}

export interface Targets {
  rows: TargetRows;
  filter: TargetFilter;
  state: 'loading' | 'more' | 'whole';
}

export interface TargetsPorts {
  api: Api;
  clock: Clock;
  failed(error: unknown): void;
  /** `shown` is another now. */
  changed(): void;
}

const PAGE = 500;
const MOST_AT_ONCE = 1000;
/** A filter's rows are asked for again no more often, however many controllers move. */
const REFRESH_MS = 2000;
const ALL: TargetFilter = { state: undefined, stage: undefined };

const lastChange = ({ ended_at, acknowledged_at, sent_at, created_at }: DeploymentWire) =>
  Date.parse(ended_at ?? acknowledged_at ?? sent_at ?? created_at);

export function targetRow(deployment: DeploymentWire, now: number): TargetRow {
  const { id, controller_id: controllerId, store_id: storeId, stage, state } = deployment;
  return {
    id,
    head: controllerId.slice(0, -12),
    tail: controllerId.slice(-12),
    storeId,
    stage: String(stage + 1),
    ...DEPLOYMENT_WORDS[state],
    note: noteOf(deployment),
    time: clockTime(lastChange(deployment), now),
  };
}

/**
 * The controllers of one rollout: pages by cursor as somebody scrolls to them, kept as they are now by the live feed.
 * A change costs the same with ten rows and with ten thousand.
 */
export class RolloutTargets {
  shown: Targets;
  private readonly refreshing: Repeat;
  private deployments: DeploymentWire[] = [];
  private places = new Map<string, number>();
  private cursor: string | null | undefined;
  /** Counts beginnings: what was asked for before the newest one is no longer wanted. */
  private generation = 0;
  private loading = false;
  /** What came while a page was on its way, which may be older. */
  private meanwhile = new Map<string, DeploymentWire>();
  private stale = false;
  private closed = false;

  constructor(
    private readonly rolloutId: string,
    private readonly ports: TargetsPorts,
  ) {
    this.shown = { rows: this.rows(), filter: ALL, state: 'loading' };
    this.refreshing = new Repeat(
      ports.clock,
      () => REFRESH_MS,
      () => this.refreshStale(),
    );
  }

  /** @param change what is another now: the view that somebody looks at may not show the last change yet */
  filter(change: Partial<TargetFilter>): void {
    this.shown = { ...this.shown, filter: { ...this.shown.filter, ...change } };
    this.deployments = [];
    this.places = new Map();
    this.begin();
  }

  /** From the beginning, as many rows as there were. */
  begin(): void {
    this.generation += 1;
    this.loading = false;
    this.show('loading');
    void this.load(undefined, Math.min(Math.max(this.deployments.length, PAGE), MOST_AT_ONCE));
  }

  /** The next page, as somebody has scrolled there. */
  more(): void {
    if (this.loading || this.shown.state !== 'more') return;
    void this.load(this.cursor, PAGE);
  }

  /** One deployment has changed. */
  take(changed: DeploymentWire): void {
    const { filter } = this.shown;
    if (this.loading) this.meanwhile.set(changed.id, changed);
    const place = this.places.get(changed.id);
    if (place !== undefined) {
      const { history } = this.deployments[place] as DeploymentWire;
      this.deployments[place] = { ...changed, ...(history !== undefined && { history }) };
      this.show(this.shown.state);
    }
    const fits =
      (filter.state === undefined || filter.state === changed.state) &&
      (filter.stage === undefined || filter.stage === changed.stage);
    // It belongs here and is not, or is here and no longer belongs: its place is the gateway's to tell.
    const missing = fits && place === undefined && this.shown.state === 'whole';
    if (missing || (!fits && place !== undefined)) this.stale = true;
  }

  close(): void {
    this.closed = true;
    this.generation += 1;
    this.refreshing.stop();
  }

  /** Begins to look after rows that have come or gone. */
  follow(): void {
    this.refreshing.within(REFRESH_MS);
  }

  private async refreshStale(): Promise<void> {
    if (!this.stale || this.loading) return;
    this.stale = false;
    const wanted = Math.min(Math.max(this.deployments.length, PAGE), MOST_AT_ONCE);
    this.generation += 1;
    await this.load(undefined, wanted);
  }

  /** @param cursor undefined: from the beginning, in place of what was there */
  private async load(cursor: string | null | undefined, limit: number): Promise<void> {
    const { generation } = this;
    const { api, failed } = this.ports;
    this.loading = true;
    this.meanwhile.clear();
    try {
      const page = (await api.request(this.path(cursor, limit))) as ListWire<DeploymentWire>;
      if (generation !== this.generation || this.closed) return;
      this.deployments = cursor === undefined ? page.items : [...this.deployments, ...page.items];
      this.places = new Map(this.deployments.map(({ id }, index) => [id, index]));
      this.cursor = page.next_cursor;
      this.loading = false;
      this.show(page.next_cursor ? 'more' : 'whole');
      for (const changed of this.meanwhile.values()) this.take(changed);
      this.meanwhile.clear();
    } catch (error) {
      if (generation !== this.generation || this.closed) return;
      this.loading = false;
      this.show(this.deployments.length > 0 ? 'more' : 'loading');
      this.stale = true;
      failed(error);
    }
  }

  private path(cursor: string | null | undefined, limit: number): string {
    const { state, stage } = this.shown.filter;
    const query = new URLSearchParams({
      limit: String(limit),
      ...(state !== undefined && { state }),
      ...(stage !== undefined && { stage: String(stage) }),
      ...(cursor && { cursor }),
    });
    return `firmware/rollouts/${this.rolloutId}/deployments?${query}`;
  }

  private show(state: Targets['state']): void {
    this.shown = { ...this.shown, rows: this.rows(), state };
    this.ports.changed();
  }

  private rows(): TargetRows {
    const { deployments } = this;
    const { clock } = this.ports;
    return {
      length: deployments.length,
      at: (index) => targetRow(deployments[index] as DeploymentWire, clock.now()),
    };
  }
}
