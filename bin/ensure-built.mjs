// Builds dist/ where it is missing or older than what it is built from. Runs on any Node.js that npm scripts meet.
// As a command, for the scripts that test: it looks at tests and benches too.
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const SOURCES = [
  ...['bin', 'lib', 'nodes', 'client', 'flows', 'schemas'],
  ...['package.json', 'package-lock.json', 'tsconfig.json'],
];
const RESULT = join(root, 'dist/bin/fieldloom.js');
const LOCK = join(root, '.building');
const MOST_WAIT_MS = 300_000;

/** Node.js 22.13 is the first with all that is used here. Ends the process with a clear line on an older one. */
export function requireNode(name) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 13)) return;
  process.stderr.write(
    `${name}: Node.js 22.13 or later is needed, this is ${process.versions.node} (${process.execPath}). ` +
      'Started by npm (npm start, npm run -s fieldloom -- …) it runs on the one that npm ci installed.\n',
  );
  process.exit(1);
}

function modified(path) {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return undefined;
  }
}

function newest(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  // A folder's own time tells of a file that is gone.
  const names = readdirSync(path).filter((name) => name !== 'node_modules');
  return Math.max(stat.mtimeMs, ...names.map((name) => newest(join(path, name))));
}

function isBuilt(sources) {
  const built = modified(RESULT);
  return built !== undefined && Math.max(...sources.map((name) => newest(join(root, name)))) <= built;
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** The process that took the lock is gone, or never came to write its id. */
function isAbandoned() {
  try {
    const pid = Number(readFileSync(LOCK, 'utf8'));
    return pid > 0 ? !isAlive(pid) : Date.now() - statSync(LOCK).mtimeMs > 2_000;
  } catch {
    return false;
  }
}

/** One build at a time: a second one would take the first one's dist/ away. */
function takeLock() {
  try {
    const lock = openSync(LOCK, 'wx');
    writeSync(lock, String(process.pid));
    closeSync(lock);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    if (isAbandoned()) {
      // What it left may be half a build.
      rmSync(RESULT, { force: true });
      rmSync(LOCK, { force: true });
    }
    return false;
  }
}

/** Standard output stays the caller's: the build speaks on standard error. */
export async function ensureBuilt(sources = SOURCES) {
  const deadline = Date.now() + MOST_WAIT_MS;
  while (existsSync(LOCK) || !isBuilt(sources)) {
    if (takeLock()) {
      try {
        if (isBuilt(sources)) return;
        process.stderr.write('Building (once) …\n');
        const { status } = spawnSync(process.execPath, [join(root, 'bin/build.mjs')], {
          cwd: root,
          stdio: ['ignore', 2, 2],
        });
        if (status !== 0) {
          rmSync(RESULT, { force: true });
          throw new Error('the build failed, see above');
        }
        return;
      } finally {
        rmSync(LOCK, { force: true });
      }
    }
    if (Date.now() > deadline)
      throw new Error(`another build has not ended in time; remove ${LOCK} if there is none`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await ensureBuilt([...SOURCES, 'test', 'bench']);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}
