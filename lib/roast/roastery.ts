import type { Clock } from '../core/clock.js';
import { asError, FieldloomError } from '../core/errors.js';
import type { Log } from '../core/log.js';
import type { RoastDriver } from './driver.js';
import { RoastMachine } from './machine.js';
import { type MachineDefinition, parseMachine, sameDriver } from './machine-definition.js';
import type { ProfileSource, RoastStore, StoredMachine, StoredSession } from './ports.js';
import type { ServerMessage } from './protocol.js';

/** Close codes of a machine's WebSocket (contract.md "WebSocket"). */
const RESTARTING = 1012;
const UNKNOWN = 4404;

export interface RoasteryOptions {
  store: RoastStore;
  profiles: ProfileSource;
  /** @throws FieldloomError invalid_input where there is no such driver */
  driver(definition: MachineDefinition): RoastDriver;
  clock: Clock;
  steadyNow(): number;
  newId(): string;
  log: Log;
  tell(machineId: string, message: ServerMessage): void;
}

/** All roasting machines of one store. */
export interface Roastery {
  /** In the order in which they were added. */
  machines(): RoastMachine[];
  /** @throws FieldloomError not_found */
  machine(id: string): RoastMachine;
  find(id: string): RoastMachine | undefined;
  /** @param body as REST takes it. @throws FieldloomError schema_mismatch, invalid_input, conflict */
  add(body: unknown): Promise<RoastMachine>;
  /**
   * @param driverToo whether its driver may be set up anew; what the session looks at, such as alarms, always may
   * @throws FieldloomError not_found, schema_mismatch, invalid_input, forbidden
   */
  update(id: string, body: unknown, driverToo?: boolean): Promise<RoastMachine>;
  /** @throws FieldloomError not_found; conflict while it roasts */
  remove(id: string): Promise<void>;
  /** Fulfils when it is connected; rejects where it is not at once: it goes on trying. */
  connect(id: string): Promise<void>;
  disconnect(id: string): Promise<void>;
  close(): Promise<void>;
}

/** Machines as the store has them; their sessions go on, and those that were connected are connected again. */
export async function openRoastery(options: RoasteryOptions): Promise<Roastery> {
  const { store, log } = options;
  const machines = new Map<string, RoastMachine>();

  function make(definition: MachineDefinition, stored?: StoredSession): RoastMachine {
    const machine = new RoastMachine({ ...options, definition, driver: options.driver(definition), stored });
    machines.set(definition.id, machine);
    return machine;
  }
  // All is read before anything is made: what cannot be read yet is asked for again.
  const known: { machine: StoredMachine; session: StoredSession | undefined }[] = [];
  for (const machine of await store.machines()) {
    const { sessionId } = machine;
    known.push({ machine, session: sessionId === null ? undefined : await store.session(sessionId) });
  }
  for (const { machine: stored, session } of known) {
    const { id } = stored.definition;
    try {
      const made = make(stored.definition, session);
      if (stored.connected) {
        made.connect().catch((error: unknown) => log.warn(`${id}: ${asError(error).message}`));
      }
    } catch (error) {
      // One that cannot be set up must not keep the others from their work.
      log.error(`machine ${id} cannot be set up: ${asError(error).message}`);
    }
  }

  function machine(id: string): RoastMachine {
    const found = machines.get(id);
    if (found !== undefined) return found;
    throw new FieldloomError('not_found', `there is no machine ${JSON.stringify(id.slice(0, 64))}`);
  }

  return {
    machines: () => [...machines.values()],
    machine,
    find: (id) => machines.get(id),

    async add(body) {
      const definition = parseMachine(body, options.newId());
      options.driver(definition); // a driver that cannot be is refused before anything is stored
      await store.addMachine(definition);
      return make(definition);
    },

    async update(id, body, driverToo = true) {
      const known = machine(id);
      const { companyId } = known.definition;
      const definition = parseMachine(body, id, companyId);
      const never = (name: string, is: string | null, was: string | null) => {
        if (is === was) return;
        const text = `${name} is ${is}: accepted is ${was}, it never changes`;
        throw new FieldloomError('invalid_input', text, { pointer: `/${name}` });
      };
      never('id', definition.id, id);
      never('company_id', definition.companyId, companyId);
      const isSame = sameDriver(known.definition, definition);
      if (!isSame && !driverToo) {
        throw new FieldloomError(
          'forbidden',
          `the driver of machine ${id} is set up by an administrator: accepted are other names and alarms, and what ` +
            'else its sessions look at',
        );
      }
      const driver = isSame ? undefined : options.driver(definition);
      await store.updateMachine(definition);
      await known.redefine(definition, driver);
      return known;
    },

    async remove(id) {
      const known = machine(id);
      if (known.phase === 'monitoring' || known.phase === 'recording') {
        throw new FieldloomError('conflict', `machine ${id} is ${known.phase}: stop and reset it first`);
      }
      await store.removeMachine(id);
      machines.delete(id);
      await known.close(UNKNOWN, 'machine removed');
    },

    async connect(id) {
      const known = machine(id);
      await store.setConnected(id, true);
      await known.connect();
    },

    async disconnect(id) {
      const known = machine(id);
      await store.setConnected(id, false);
      await known.disconnect();
    },

    async close() {
      await Promise.all([...machines.values()].map((each) => each.close(RESTARTING, 'restarting')));
    },
  };
}
