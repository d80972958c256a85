import type { Access } from '../lib/access/access.js';
import { type ClientIdentity, outsideIds } from '../lib/access/client.js';
import type { FlowNode } from './compose.js';

/** A machine of the simulation, and the node id of the connection that it has for itself. */
export interface SimulatedClient {
  connection: string;
  identity: ClientIdentity;
}

const isSimulators = (connection: unknown) => /^simulator-/.test(String(connection));

/** Nodes that speak as a laundry's controller. */
const OF_CONTROLLERS = ['fieldloom-machine-reporter', 'fieldloom-firmware-agent'];

/** The simulated machines of the flows: those that speak over a connection of the simulation, each once. */
export function simulatedClients(nodes: readonly FlowNode[]): SimulatedClient[] {
  const clients = new Map(nodes.flatMap(clientsOf).map((client) => [client.connection, client]));
  return [...clients.values()];
}

/** The stores of the simulated controllers. */
export function simulatedStores(clients: readonly SimulatedClient[]): string[] {
  const ids = clients.flatMap(({ identity }) => (identity.role === 'controller' ? [identity.storeId] : []));
  return [...new Set(ids)];
}

/** The companies of the simulated solar machines. */
export function simulatedCompanies(clients: readonly SimulatedClient[]): string[] {
  const ids = clients.flatMap(({ identity }) => (identity.role === 'machine' ? [identity.company] : []));
  return [...new Set(ids)];
}

function clientsOf(node: FlowNode): SimulatedClient[] {
  const { type, connection, broker, topic } = node;
  if (OF_CONTROLLERS.includes(type) && isSimulators(connection)) {
    const { storeId, controllerId } = node as { storeId?: unknown; controllerId?: unknown };
    const identity: ClientIdentity = {
      role: 'controller',
      storeId: String(storeId),
      controllerId: String(controllerId),
    };
    return [{ connection: String(connection), identity }];
  }
  if (type !== 'mqtt in' || !isSimulators(broker)) return [];
  const identity = whoTakes(String(topic));
  return identity === undefined ? [] : [{ connection: String(broker), identity }];
}

/** Whose commands come on a topic. */
function whoTakes(topic: string): ClientIdentity | undefined {
  const [, device] = /^devices\/([^/]+)\/commands$/.exec(topic) ?? [];
  if (device !== undefined) return { role: 'device', device };
  const [, company, machine] = /^company\/([^/]+)\/machine\/([^/]+)\/command$/.exec(topic) ?? [];
  if (company === undefined || machine === undefined) return undefined;
  return { role: 'machine', company, machine };
}

/** `simulator-1-connection` takes its login from `FIELDLOOM_SIMULATOR_1_USERNAME` and `…_PASSWORD`. */
const variable = ({ connection }: SimulatedClient, part: string) =>
  `FIELDLOOM_${connection
    .replace(/-connection$/, '')
    .replaceAll('-', '_')
    .toUpperCase()}_${part}`;

/** At another broker the simulated machines use the login that was given for it. */
export function sharedLogin(
  clients: readonly SimulatedClient[],
  login: { username: string | undefined; password: string | undefined },
): Record<string, string> {
  return Object.fromEntries(
    clients.flatMap((client) => [
      [variable(client, 'USERNAME'), login.username ?? ''],
      [variable(client, 'PASSWORD'), login.password ?? ''],
    ]),
  );
}

const keyOf = (identity: ClientIdentity) => JSON.stringify([identity.role, outsideIds(identity)]);

/**
 * Gives each simulated machine a login of its own for this run, in variables that the flows name; without simulation
 * their logins are revoked.
 */
export async function renewSimulatedLogins(
  access: Access,
  clients: readonly SimulatedClient[],
  simulate: boolean,
): Promise<Record<string, string>> {
  const present = new Map(
    (await access.listClients()).map(({ principal }) => [keyOf(principal), principal.username]),
  );
  const isNew = ({ identity }: SimulatedClient) =>
    identity.role === 'machine' && !present.has(keyOf(identity));
  const variables: Record<string, string> = {
    // Machines that were not there before may tell their past.
    FIELDLOOM_SIMULATED_SOLAR_PAST: simulate && clients.some(isNew) ? '1' : '',
  };
  for (const client of clients) {
    const old = present.get(keyOf(client.identity));
    if (simulate) {
      const login =
        old === undefined ? await access.addClient(client.identity) : await access.rotateClient(old);
      variables[variable(client, 'USERNAME')] = login.username;
      variables[variable(client, 'PASSWORD')] = login.password;
    } else if (old !== undefined) await access.revokeClient(old);
  }
  return variables;
}
