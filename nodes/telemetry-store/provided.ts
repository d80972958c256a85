import type { SolarBackend, SolarListener } from '../../lib/solar/backend-ports.js';
import type { MachineIds, MachineRecord, TelemetryRow } from '../../lib/solar/ports.js';
import type { SolarQueries } from '../../lib/store/solar-queries.js';

/** What a telemetry-store node offers to nodes that name it. What is asked before its store is open waits for it. */
export interface ProvidedTelemetry {
  queries(): Promise<SolarQueries>;
  /** A machine as it is now; undefined where it was never heard. */
  machine(ids: MachineIds): Promise<MachineRecord | undefined>;
  /** Its last telemetry. */
  latest(machine: MachineRecord): Promise<TelemetryRow | undefined>;
  /** When it was heard last, which is written only now and then. */
  withLastSeen(machine: MachineRecord): MachineRecord;
  /** Live feeds are to be told at arrival, not when the row is committed. */
  readonly fast: boolean;
  /** Calls back from now on; the answer removes the listener. */
  listen(listener: SolarListener): () => void;
}

type Opened = { backend: SolarBackend; queries: SolarQueries };

export function provideTelemetry(ready: Promise<Opened>, fast: boolean): ProvidedTelemetry {
  let opened: Opened | undefined;
  ready.then(
    (now) => {
      opened = now;
    },
    () => {}, // the node itself reports it
  );
  const queries = async () => (await ready).queries;
  const withLastSeen = (machine: MachineRecord): MachineRecord => {
    const { lastSeen = 0 } = opened?.backend.machine(machine) ?? {};
    return lastSeen > machine.lastSeen ? { ...machine, lastSeen } : machine;
  };
  return {
    fast,
    queries,
    withLastSeen,
    async machine(ids) {
      const found = await (await queries()).machineOf(ids);
      return found && withLastSeen(found);
    },
    latest: async ({ number }) => (await queries()).newestOf(number),
    listen(listener) {
      let removed = false;
      let remove = () => {};
      ready.then(
        ({ backend }) => {
          if (!removed) remove = backend.listen(listener);
        },
        () => {},
      );
      return () => {
        removed = true;
        remove();
      };
    },
  };
}
