import { type Command, InvalidArgumentError, Option } from 'commander';
import { isUuid } from '../../lib/access/client.js';
import type { UserPrincipal } from '../../lib/access/principal.js';
import { secret } from '../../lib/access/secrets.js';
import { ACCESS_SECONDS, Tokens } from '../../lib/access/token.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { directoryOf, type Output, print, type Terminal, table, withAccess } from './context.js';

interface AddOptions extends Output {
  passwordStdin?: boolean;
  admin?: boolean;
  store: string[];
  company: string[];
}

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;
const LONGEST_TTL_S = 366 * SECONDS.d;

/** `90s`, `15m`, `1h`, `7d` in seconds. */
function duration(text: string): number {
  const [, number, unit] = /^([1-9][0-9]{0,8})([smhd])$/.exec(text) ?? [];
  const seconds = Number(number) * SECONDS[unit as keyof typeof SECONDS];
  if (unit === undefined || seconds > LONGEST_TTL_S) {
    throw new InvalidArgumentError('Accepted is a length of time such as 90s, 15m, 1h or 7d, up to 366d.');
  }
  return seconds;
}

const collect = (value: string, values: string[]) => [...values, value];

function collectUuid(value: string, values: string[]): string[] {
  if (!isUuid(value)) throw new InvalidArgumentError('Accepted is a UUID.');
  return collect(value, values);
}

const describe = (user: UserPrincipal) => ({
  user_id: user.userId,
  name: user.username,
  admin: user.admin,
  stores: user.stores,
  companies: user.companies,
});

async function readPassword(terminal: Terminal, options: AddOptions): Promise<string> {
  if (options.passwordStdin !== true) {
    throw new FieldloomError(
      'missing_setting',
      '--password-stdin is missing: the password is read from standard input, so that it is seen in no list of processes',
    );
  }
  return (await terminal.input()).replace(/\r?\n$/, '');
}

function listText(users: readonly UserPrincipal[]): string {
  if (users.length === 0) return 'There are no users yet: make one with "fieldloom user add".';
  return table(
    ['NAME', 'ADMIN', 'STORES', 'COMPANIES'],
    users.map((user) => [
      user.username,
      user.admin ? 'yes' : 'no',
      user.stores.join(' ') || '-',
      user.companies.join(' ') || '-',
    ]),
  );
}

/** `fieldloom user …`: people and programs that use REST and the dashboard (contract.md "Command line"). */
export function userCommands(parent: Command, terminal: Terminal): void {
  const user = parent.command('user').description('users of REST and the dashboard');

  user
    .command('add <name>')
    .description('make a user; the password comes by standard input')
    .option('--password-stdin', 'read the password from standard input (required)')
    .option('--admin', 'may do everything, logins included')
    .option('--store <uuid>', 'belongs to this store; may be given several times', collectUuid, [])
    .option('--company <id>', 'belongs to this company; may be given several times', collect, [])
    .action(async (name: string, _options: object, command: Command) => {
      const options = command.optsWithGlobals<AddOptions>();
      const password = await readPassword(terminal, options);
      const made = await withAccess(terminal, (access) =>
        access.addUser(name, password, {
          admin: options.admin === true,
          stores: options.store,
          companies: options.company,
        }),
      );
      print(
        terminal,
        options,
        describe(made),
        `User ${name} is made${made.admin ? ', an administrator' : ''}.`,
      );
    });

  user
    .command('token <name>')
    .description('print an access token (JWT) of a user')
    .addOption(
      new Option('--ttl <time>', 'how long it is good: 90s, 15m, 1h, 7d')
        .argParser(duration)
        .default(ACCESS_SECONDS, '1h'),
    )
    .action(async (name: string, _options: object, command: Command) => {
      const options = command.optsWithGlobals<Output & { ttl: number }>();
      const { token, expiresAt } = await withAccess(terminal, async (access) => {
        const found = await access.userByName(name);
        if (found === undefined) {
          throw new FieldloomError('not_found', `there is no user ${JSON.stringify(name)}`);
        }
        const tokens = new Tokens(access, { secret: await secret(directoryOf(terminal), 'jwt-secret') });
        return tokens.issueAccess(found.userId, options.ttl);
      });
      const document = { token, expires_at: new Date(expiresAt).toISOString() };
      print(terminal, options, document, token);
    });

  user
    .command('list')
    .description('users that are not revoked')
    .action(async (_options: object, command: Command) => {
      const users = await withAccess(terminal, (access) => access.listUsers());
      print(terminal, command.optsWithGlobals<Output>(), users.map(describe), listText(users));
    });

  user
    .command('revoke <name>')
    .description('end a user: tokens are refused at once, live feeds end within 5 s')
    .action(async (name: string, _options: object, command: Command) => {
      await withAccess(terminal, (access) => access.revokeUser(name));
      print(terminal, command.optsWithGlobals<Output>(), { name, revoked: true }, `User ${name} is revoked.`);
    });
}
