import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { tell } from './database.js';
import { eventually } from './gateway.js';
import { freePort } from './ports.js';

const run = promisify(execFile);

/** A database server of our own, which a test may stop. */
export interface DatabaseServer {
  /** Of an empty database. */
  url: string;
  /** Ends it at once, as a crash does. */
  down(): Promise<void>;
  up(): Promise<void>;
  remove(): Promise<void>;
}

interface Recipe {
  command: string;
  parameters: string[];
  /** Whom it runs as; undefined: as ourselves. */
  user?: { uid: number; gid: number } | undefined;
  url: string;
  directory: string;
}

async function serve({ command, parameters, user, url, directory }: Recipe): Promise<DatabaseServer> {
  let child: ChildProcess | undefined;
  const database = new URL(url);
  database.pathname = '/fieldloom';
  const server: DatabaseServer = {
    url: database.href,
    async down() {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      // PostgreSQL's processes outlive one that is killed; at SIGQUIT they end with it, and nothing is tidied up.
      child.kill(url.startsWith('postgres') ? 'SIGQUIT' : 'SIGKILL');
      await exit;
    },
    async up() {
      child = spawn(command, parameters, { stdio: 'ignore', cwd: directory, ...user });
      await eventually(() => tell(url, 'select 1').then(() => true), 'an answer of the database server');
    },
    async remove() {
      await server.down();
      await rm(directory, { recursive: true, force: true });
    },
  };
  await server.up();
  await tell(url, 'create database fieldloom');
  return server;
}

const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/bin', '/usr/local/bin'];

function found(name: string, folders: readonly string[]): string {
  const path = folders.map((folder) => join(folder, name)).find(existsSync);
  if (path === undefined)
    throw new Error(`the service tests need ${name}: it is not in ${folders.join(', ')}`);
  return path;
}

/** Debian keeps PostgreSQL's own programs, which are not to run as root, in a folder for each version. */
function postgresFolders(): string[] {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  return [...versions.map((version) => join(root, version, 'bin')), ...SYSTEM_FOLDERS];
}

async function postgresUser(): Promise<Recipe['user']> {
  if (process.getuid?.() !== 0) return undefined;
  const number = async (option: string) => Number((await run('id', [option, 'postgres'])).stdout);
  return { uid: await number('-u'), gid: await number('-g') };
}

/**
 * PostgreSQL in folders of its own.
 * @param disk where the tables are; its log of changes is elsewhere: without room for that the server itself ends
 */
export async function startPostgres(disk?: string): Promise<DatabaseServer> {
  const directory = await mkdtemp(join(tmpdir(), 'fieldloom-postgres-'));
  const user = await postgresUser();
  const [port, data] = [await freePort(), join(disk ?? directory, 'data')];
  await mkdir(data);
  for (const folder of [directory, data]) {
    await chmod(folder, 0o700);
    if (user !== undefined) await chown(folder, user.uid, user.gid);
  }
  const settings = ['--auth=trust', '--username=postgres', '--no-sync', '--encoding=UTF8', '--no-locale'];
  await run(
    found('initdb', postgresFolders()),
    ['-D', data, `--waldir=${join(directory, 'changes')}`, ...settings],
    { cwd: directory, ...user },
  );
  return serve({
    command: found('postgres', postgresFolders()),
    parameters: ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', ''],
    user,
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    directory,
  });
}

/** MariaDB in folders of its own. @param disk where its data is */
export async function startMariaDb(disk?: string): Promise<DatabaseServer> {
  const directory = await mkdtemp(join(tmpdir(), 'fieldloom-mariadb-'));
  const [port, data] = [await freePort(), join(disk ?? directory, 'data')];
  await mkdir(data);
  const as = process.getuid?.() === 0 ? ['--user=root'] : [];
  await run(found('mariadb-install-db', SYSTEM_FOLDERS), [
    ...['--no-defaults', `--datadir=${data}`, '--skip-test-db', '--auth-root-authentication-method=normal'],
    ...['--innodb-log-file-size=16M', ...as],
  ]);
  return serve({
    command: found('mariadbd', SYSTEM_FOLDERS),
    parameters: [
      ...['--no-defaults', `--datadir=${data}`, `--port=${port}`, '--bind-address=127.0.0.1', ...as],
      ...[`--socket=${join(directory, 'socket')}`, `--pid-file=${join(directory, 'pid')}`],
      ...['--innodb-log-file-size=16M', '--skip-log-bin'],
    ],
    url: `mysql://root@127.0.0.1:${port}/mysql`,
    directory,
  });
}
