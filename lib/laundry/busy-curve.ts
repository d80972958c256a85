/** What happened to busy machines in one minute of the last hour. */
export interface BusyMinute {
  /** Begin of the minute, epoch ms. */
  minute: number;
  /** Machines that became busy, less those that ceased to be. */
  more: number;
  /** Machines that were busy when their controller, offline now, was last heard. */
  lost: number;
}

/**
 * How many machines were busy at the end of each minute, counted back from now: a machine of a controller that is
 * offline counts up to its controller's last word, as in statistics.
 * @param minutes begins, ascending, the running minute last
 * @param busyNow machines that are busy now, at controllers that are online
 */
export function busyCurve(
  minutes: readonly number[],
  happened: readonly BusyMinute[],
  busyNow: number,
): number[] {
  const last = minutes.at(-1) ?? 0;
  const changes = new Map<number, number>();
  for (const { minute, more, lost } of happened) {
    // What a controller with a fast clock reports for later has happened by now.
    const at = Math.min(minute, last);
    changes.set(at, (changes.get(at) ?? 0) + more - lost);
  }
  const curve = new Array<number>(minutes.length);
  let busy = busyNow;
  for (let index = minutes.length - 1; index >= 0; index -= 1) {
    curve[index] = Math.max(0, busy);
    busy -= changes.get(minutes[index] as number) ?? 0;
  }
  return curve;
}
