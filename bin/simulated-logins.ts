import { Access } from '../lib/access/access.js';
import type { ClientIdentity } from '../lib/access/client.js';
import type { Store } from '../lib/store/store.js';
import type { FlowNode } from './compose.js';

/** The connection's node id, and the controller that reports over it. */
interface SimulatedController {
  connection: string;
  storeId: string;
  controllerId: string;
}

/** The simulated controllers of the flows: reporters on a tab of simulations. */
export function simulatedControllers(nodes: readonly FlowNode[]): SimulatedController[] {
  return nodes
    .filter(
      ({ type, connection }) =>
        type === 'fieldloom-machine-reporter' && /^simulator-/.test(String(connection)),
    )
    .map(({ connection, storeId, controllerId }) => ({
      connection: String(connection),
      storeId: String(storeId),
      controllerId: String(controllerId),
    }));
}

/** `simulator-1-connection` takes its login from `FIELDLOOM_SIMULATOR_1_USERNAME` and `…_PASSWORD`. */
const variable = ({ connection }: SimulatedController, part: string) =>
  `FIELDLOOM_${connection
    .replace(/-connection$/, '')
    .replaceAll('-', '_')
    .toUpperCase()}_${part}`;

/** At another broker the simulated controllers use the login that was given for it. */
export function sharedLogin(
  controllers: readonly SimulatedController[],
  login: { username: string | undefined; password: string | undefined },
): Record<string, string> {
  return Object.fromEntries(
    controllers.flatMap((controller) => [
      [variable(controller, 'USERNAME'), login.username ?? ''],
      [variable(controller, 'PASSWORD'), login.password ?? ''],
    ]),
  );
}

/**
 * Gives each simulated controller a login of its own for this run, in variables that the flows name; without
 * simulation their logins are revoked.
 */
export async function renewSimulatedLogins(
  store: Store,
  controllers: readonly SimulatedController[],
  simulate: boolean,
): Promise<Record<string, string>> {
  const access = await Access.open(store);
  try {
    const present = await access.listClients();
    const variables: Record<string, string> = {};
    for (const controller of controllers) {
      const { storeId, controllerId } = controller;
      const old = present.find(
        ({ principal }) =>
          principal.role === 'controller' &&
          principal.storeId === storeId &&
          principal.controllerId === controllerId,
      )?.principal.username;
      if (simulate) {
        const identity: ClientIdentity = { role: 'controller', storeId, controllerId };
        const login = old === undefined ? await access.addClient(identity) : await access.rotateClient(old);
        variables[variable(controller, 'USERNAME')] = login.username;
        variables[variable(controller, 'PASSWORD')] = login.password;
      } else if (old !== undefined) await access.revokeClient(old);
    }
    return variables;
  } finally {
    access.close();
  }
}
