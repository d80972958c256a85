import type { IClientOptions } from 'mqtt';
import { eventually } from './gateway.js';
import { type GatewayOptions, NodeRedGateway } from './node-red-gateway.js';

const PASSWORD = 'a long password';

const flow = (settings: { allowed: string; fast: boolean }) => [
  {
    ...{ id: 'telemetry', type: 'fieldloom-telemetry-store', z: 'tab' },
    ...{ store: 'store', connection: 'connection', fast: settings.fast, wires: [[], [], []] },
  },
  {
    ...{ id: 'commands', type: 'fieldloom-device-command', z: 'tab', profile: 'solar' },
    ...{ store: 'store', connection: 'connection', wires: [[], [], [], [], [], []] },
  },
  {
    ...{ id: 'past', type: 'fieldloom-history', z: 'tab', telemetry: 'telemetry' },
    ...{ commands: 'commands', allowed: settings.allowed, wires: [[]] },
  },
  { id: 'feed', type: 'fieldloom-live-feed', z: 'tab', telemetry: 'telemetry', wires: [] },
];

export interface SolarGateway extends NodeRedGateway {
  /** A login for a machine. */
  login(company: string, machine: string): Promise<IClientOptions & { username: string }>;
  /** A token of `root` (admin), `bob` (company 1), `eve` (company 2) or `dan` (both). */
  tokenOf(name: string): Promise<string>;
}

/** A gateway with all that solar machines need. */
export async function solarGateway({
  allowed = '',
  fast = false,
  ...options
}: Omit<GatewayOptions, 'flow'> & { allowed?: string; fast?: boolean } = {}): Promise<SolarGateway> {
  const gateway = await NodeRedGateway.create({ ...options, flow: flow({ allowed, fast }) });
  await gateway.access(async (access) => {
    await access.addUser('root', PASSWORD, { admin: true });
    await access.addUser('bob', PASSWORD, { companies: ['1'] });
    await access.addUser('eve', PASSWORD, { companies: ['2'] });
    await access.addUser('dan', PASSWORD, { companies: ['1', '2'] });
  });
  return Object.assign(gateway, {
    login: (company: string, machine: string) =>
      gateway.access((access) => access.addClient({ role: 'machine', company, machine })),
    // The store of a gateway that has just started may not be open yet.
    tokenOf: (name: string) =>
      eventually(async () => gateway.token(name, PASSWORD), `a token of ${name}`, 10_000),
  });
}
