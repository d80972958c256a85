/**
 * Which of several gateways on one database are there. Each has a row with a number that it raises every RENEW_MS.
 * A gateway whose number has stood still for LEASE_MS, by the clock of the one that looks, is gone, and its row is
 * taken away (only if the number is still the same). So no two clocks are ever compared: their rate matters, what
 * they say does not.
 *
 * | event   | does                                                                                              |
 * | ------- | ------------------------------------------------------------------------------------------------- |
 * | renewed | ours holds until LEASE_MS after we began to renew it: whoever judges us saw the number later      |
 * | looked  | a number that has moved is counted from now; one that has not, for LEASE_MS, is over              |
 * | looked, after we have not looked for GAP_MS | all are counted from now: it was we who were away             |
 * | lost    | another has taken our row away: we drive nothing, and begin anew with another lease                |
 *
 * Times are milliseconds of a clock that never steps.
 */

/** Every gateway raises its number so often. */
export const RENEW_MS = 3_000;
/** A number that stands still for so long belongs to a gateway that is gone. */
export const LEASE_MS = 15_000;
/** Whoever has not looked for so long says nothing of the others yet. */
const GAP_MS = LEASE_MS / 2;

export interface LeaseRow {
  /** One run of a gateway, until it is lost: never used again. */
  id: string;
  /** The gateway's name, the same in all its runs. */
  name: string;
  beat: number;
}

interface Seen extends LeaseRow {
  /** Since when its number stands where it is, as far as we have seen. */
  since: number;
}

export interface Leases {
  /** Ours; undefined before the first renewal and after a loss. */
  readonly own: { readonly id: string; readonly until: number } | undefined;
  readonly others: ReadonlyMap<string, Seen>;
  readonly lookedAt: number | null;
}

export type LeaseEvent =
  /** The store has our row with a new number. @param begun before it was asked to */
  | { type: 'renewed'; id: string; begun: number }
  /** These rows are in the store. @param replaces a name whose earlier runs are over, since we are its new one */
  | { type: 'looked'; rows: readonly LeaseRow[]; replaces?: string }
  | { type: 'lost' };

export interface LeaseStep {
  leases: Leases;
  /** Rows to be taken away, if their number is still the same. */
  over: readonly LeaseRow[];
}

export const NO_LEASES: Leases = { own: undefined, others: new Map(), lookedAt: null };

export function transition(leases: Leases, event: LeaseEvent, now: number): LeaseStep {
  switch (event.type) {
    case 'renewed':
      return { leases: { ...leases, own: { id: event.id, until: event.begun + LEASE_MS } }, over: [] };
    case 'lost':
      return { leases: { ...leases, own: undefined }, over: [] };
    case 'looked':
      return look(leases, event.rows, event.replaces, now);
  }
}

function look(
  leases: Leases,
  rows: readonly LeaseRow[],
  replaces: string | undefined,
  now: number,
): LeaseStep {
  const wasAway = leases.lookedAt === null || now - leases.lookedAt > GAP_MS;
  const others = new Map<string, Seen>();
  const over: LeaseRow[] = [];
  for (const row of rows) {
    if (row.id === leases.own?.id) continue;
    const known = leases.others.get(row.id);
    const stands = known !== undefined && known.beat === row.beat && !wasAway;
    const since = stands ? known.since : now;
    others.set(row.id, { ...row, since });
    if (row.name === replaces || now - since >= LEASE_MS) over.push(row);
  }
  return { leases: { ...leases, others, lookedAt: now }, over };
}

/** Nobody else can have taken our lease away. */
export const holds = ({ own }: Leases, now: number): boolean => own !== undefined && now < own.until;
