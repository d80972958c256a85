import type { Change, Controller, Machine, Outage, Shop } from './laundry-state.js';
import type { MachineStatus } from './laundry-wire.js';

/** One stretch of time in one status; times are epoch milliseconds UTC. */
export interface StripSegment {
  from: number;
  to: number;
  status: MachineStatus;
}

export const STRIP_MS = 24 * 60 * 60 * 1000;

/**
 * The last 24 hours of one machine as stretches without holes, oldest first.
 * Before its first known state, and while its controller was away, a machine is unknown; a change with a time inside
 * an absence was told later, and then that absence hides nothing.
 * @param changes of this machine, oldest first; may begin before the strip does
 * @param lastSeen when the controller was last heard, where it is offline now; otherwise undefined
 * @param outages of the controller, oldest first
 */
export function stripOf(
  machine: Pick<Machine, 'lastStatus' | 'since'>,
  changes: readonly Change[],
  lastSeen: number | undefined,
  now: number,
  outages: readonly Outage[] = [],
): StripSegment[] {
  const from = now - STRIP_MS;
  const segments: StripSegment[] = [];
  const add = (start: number, end: number, status: MachineStatus) => {
    const begin = Math.max(start, from);
    if (end <= begin) return;
    const last = segments.at(-1);
    if (last?.status === status) last.to = end;
    else segments.push({ from: begin, to: end, status });
  };
  const away = outages.filter(
    (outage) => !changes.some((change) => change.at > outage.from && change.at < outage.to),
  );
  /** As `add`, with the absences cut out. */
  const addKnown = (start: number, end: number, status: MachineStatus) => {
    let at = start;
    for (const outage of away) {
      if (outage.to <= at || outage.from >= end) continue;
      add(at, Math.max(at, outage.from), status);
      add(Math.max(at, outage.from), Math.min(end, outage.to), 'unknown');
      at = Math.max(at, Math.min(end, outage.to));
    }
    add(at, end, status);
  };

  const before = changes.filter((change) => change.at <= from).at(-1);
  const inside = changes.filter((change) => change.at > from && change.at <= now);
  const first = inside[0];
  let status: MachineStatus =
    before?.status ?? first?.previousStatus ?? (first === undefined ? machine.lastStatus : 'unknown');
  let at = from;
  // Without any change at hand the state itself says since when it holds.
  if (before === undefined && first === undefined && machine.since > from) {
    add(from, machine.since, 'unknown');
    at = machine.since;
  }
  for (const change of inside) {
    addKnown(at, change.at, status);
    status = change.status;
    at = change.at;
  }
  const knownUntil = lastSeen === undefined ? now : Math.min(Math.max(lastSeen, at), now);
  addKnown(at, knownUntil, status);
  add(knownUntil, now, 'unknown');
  return segments;
}

/** Milliseconds spent in each status. */
export function timeIn(segments: readonly StripSegment[]): Record<MachineStatus, number> {
  const total = { busy: 0, idle: 0, unknown: 0 };
  for (const segment of segments) total[segment.status] += segment.to - segment.from;
  return total;
}

interface Kept {
  machine: Machine;
  changes: readonly Change[];
  outages: readonly Outage[];
  lastSeen: number | undefined;
  minute: number;
  segments: readonly StripSegment[];
}

/** Strips that are computed again only when the machine, its history or the minute is another. */
export function keptStrips() {
  const kept = new Map<string, Kept>();
  const none: readonly Change[] = [];
  const noOutages: readonly Outage[] = [];
  return (machine: Machine, shop: Shop, controller: Controller, now: number): readonly StripSegment[] => {
    const changes = shop.history.get(machine.key) ?? none;
    const outages = shop.outages.get(controller.controllerId) ?? noOutages;
    const lastSeen = controller.online ? undefined : controller.lastSeen;
    const minute = Math.floor(now / 60_000);
    const key = `${shop.storeId}/${machine.key}`;
    const old = kept.get(key);
    const same =
      old !== undefined &&
      old.changes === changes &&
      old.outages === outages &&
      old.lastSeen === lastSeen &&
      old.minute === minute &&
      old.machine.since === machine.since &&
      old.machine.lastStatus === machine.lastStatus;
    if (same) return old.segments;
    const segments = stripOf(machine, changes, lastSeen, now, outages);
    kept.set(key, { machine, changes, outages, lastSeen, minute, segments });
    return segments;
  };
}
