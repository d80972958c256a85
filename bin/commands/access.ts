import type { Command } from 'commander';
import {
  type Client,
  clientIdentity,
  describeClient,
  type Login,
  outsideIds,
  ROLES,
} from '../../lib/access/client.js';
import { type Output, print, type Terminal, table, withAccess } from './context.js';
import { exportCommand } from './export.js';

interface AddOptions extends Output {
  role?: string;
  company?: string;
  machine?: string;
  store?: string;
  controller?: string;
  device?: string;
}

/** The option that gives a field of a login. */
const optionOf = (field: string) => `--${field.replace(/_id$/, '')}`;

const loginText = (login: Login, what: string) =>
  `${what}\n  username: ${login.username}\n  password: ${login.password}\nThe password is shown this once and stored nowhere.`;

const idsText = (client: Client) =>
  Object.entries(outsideIds(client.principal))
    .map(([name, value]) => `${name.replace(/_id$/, '')} ${value}`)
    .join(', ');

function listText(clients: readonly Client[]): string {
  if (clients.length === 0) return 'There are no logins yet: make one with "fieldloom access add".';
  return table(
    ['USERNAME', 'ROLE', 'FOR', 'CREATED'],
    clients.map((client) => [
      client.principal.username,
      client.principal.role,
      idsText(client) || 'all topics of the protocols',
      new Date(client.createdAt).toISOString(),
    ]),
  );
}

/** `fieldloom access …`: MQTT logins (contract.md "Command line"). */
export function accessCommands(parent: Command, terminal: Terminal): void {
  const access = parent
    .command('access')
    .description('MQTT logins of machines, controllers, devices, services');

  access
    .command('add')
    .description('make a login; prints its user name and password, once')
    .option('--role <role>', `whom it is for: ${ROLES.join(', ')}`)
    .option('--company <id>', 'role machine: its company')
    .option('--machine <id>', 'role machine: its id')
    .option('--store <uuid>', 'role controller: its store')
    .option('--controller <uuid>', 'role controller: its id')
    .option('--device <id>', 'role device: its id')
    .action(async (_options: object, command: Command) => {
      const options = command.optsWithGlobals<AddOptions>();
      const identity = clientIdentity(
        {
          role: options.role,
          company_id: options.company,
          machine_id: options.machine,
          store_id: options.store,
          controller_id: options.controller,
          device_id: options.device,
        },
        optionOf,
      );
      const login = await withAccess(terminal, (open) => open.addClient(identity));
      print(terminal, options, login, loginText(login, `Login of role ${identity.role}:`));
    });

  access
    .command('list')
    .description('logins that are not revoked, newest first')
    .action(async (_options: object, command: Command) => {
      const clients = await withAccess(terminal, (open) => open.listClients());
      print(terminal, command.optsWithGlobals<Output>(), clients.map(describeClient), listText(clients));
    });

  access
    .command('rotate <username>')
    .description('a new password for a login; ends its session within 5 s')
    .action(async (username: string, _options: object, command: Command) => {
      const login = await withAccess(terminal, (open) => open.rotateClient(username));
      print(terminal, command.optsWithGlobals<Output>(), login, loginText(login, 'The new login:'));
    });

  access
    .command('revoke <username>')
    .description('end a login, and its session within 5 s')
    .action(async (username: string, _options: object, command: Command) => {
      await withAccess(terminal, (open) => open.revokeClient(username));
      const text = `Login ${username} is revoked.`;
      print(terminal, command.optsWithGlobals<Output>(), { username, revoked: true }, text);
    });

  exportCommand(access, terminal);
}
