import type { SolarBackend, SolarListener } from '../../lib/solar/backend-ports.js';
import type { MachineIds, MachineRecord, TelemetryRow } from '../../lib/solar/ports.js';
import { LARGEST_LIMIT } from '../../lib/store/page.js';
import type { SolarQueries } from '../../lib/store/solar-queries.js';

/** What a telemetry-store node offers to nodes that name it. What is asked before its store is open waits for it. */
export interface ProvidedTelemetry {
  queries(): Promise<SolarQueries>;
  /** A machine as it is now; undefined where it was never heard. */
  machine(ids: MachineIds): Promise<MachineRecord | undefined>;
  /** Its last telemetry. */
  latest(machine: MachineRecord): Promise<TelemetryRow | undefined>;
  /** All machines of a company in the order of their ids, each as it is now with its last telemetry. */
  company(companyId: string): Promise<{ machine: MachineRecord; latest: TelemetryRow | undefined }[]>;
  /** When it was heard last, which is written only now and then. */
  withLastSeen(machine: MachineRecord): MachineRecord;
  /** Live feeds are to be told at arrival, not when the row is committed. */
  readonly fast: boolean;
  /** Several gateways share the store. */
  readonly shared: boolean;
  /** Calls back from now on; the answer removes the listener. */
  listen(listener: SolarListener): () => void;
}

type Opened = { backend: SolarBackend; queries: SolarQueries };

export function provideTelemetry(
  ready: Promise<Opened>,
  { fast, shared }: Pick<ProvidedTelemetry, 'fast' | 'shared'>,
): ProvidedTelemetry {
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
  const latest = async ({ number }: MachineRecord) => (await queries()).newestOf(number);
  return {
    fast,
    shared,
    queries,
    withLastSeen,
    async machine(ids) {
      const found = await (await queries()).machineOf(ids);
      return found && withLastSeen(found);
    },
    latest,
    async company(companyId) {
      const { machinesOf } = await queries();
      const found: MachineRecord[] = [];
      let cursor: string | null | undefined;
      do {
        const page = await machinesOf(companyId, { limit: LARGEST_LIMIT, ...(cursor && { cursor }) });
        found.push(...page.items);
        cursor = page.next_cursor;
      } while (cursor);
      return Promise.all(
        found.map(async (machine) => ({ machine: withLastSeen(machine), latest: await latest(machine) })),
      );
    },
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
