import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './gateway.js';
import { freePort } from './ports.js';

const ROOT = join(__dirname, '../../..');
const run = promisify(execFile);

/** What a person's shell would give: nothing of this test run. */
const environment = (more: Record<string, string> = {}): NodeJS.ProcessEnv => ({
  PATH: process.env['PATH'],
  HOME: process.env['HOME'],
  ...more,
});

/** This run's environment, in which the registry can be reached, without what npm has set for its own scripts. */
const npmEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')));

export interface Packed {
  files: string[];
  /** Bytes of the tarball, and of what is in it. */
  size: number;
  unpackedSize: number;
  filename: string;
}

/** What `npm pack` makes of this checkout as it is built. @param destination a folder; without one nothing is written */
export async function pack(destination?: string): Promise<Packed> {
  const where = destination === undefined ? ['--dry-run'] : ['--pack-destination', destination];
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', ...where], {
    cwd: ROOT,
    env: npmEnvironment(),
    maxBuffer: 16 * 1024 * 1024,
  });
  const said = JSON.parse(stdout) as Record<string, unknown> | unknown[];
  // A list, or from npm 11.18 on an object by package.
  const packed = Object.values(said)[0] as Omit<Packed, 'files'> & { files: { path: string }[] };
  return { ...packed, files: packed.files.map(({ path }) => path) };
}

/**
 * Installs packages into a folder of its own, without running any script of theirs: nothing is compiled.
 * @returns seconds
 */
export async function install(folder: string, ...packages: string[]): Promise<number> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{"private":true}');
  const began = performance.now();
  const quiet = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
  await run('npm', ['install', '--ignore-scripts', ...quiet, ...packages], {
    cwd: folder,
    env: npmEnvironment(),
    maxBuffer: 16 * 1024 * 1024,
  });
  return (performance.now() - began) / 1000;
}

/** Bytes of all files in a folder, and its packages that would compile or run something when they are installed. */
export async function weigh(
  folder: string,
): Promise<{ bytes: number; files: number; withScripts: string[] }> {
  const total = { bytes: 0, files: 0, withScripts: [] as string[] };
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    total.bytes += (await stat(file)).size;
    total.files += 1;
    if (entry.name === 'binding.gyp') total.withScripts.push(file);
    if (entry.name !== 'package.json') continue;
    const { name, scripts = {} } = JSON.parse(await readFile(file, 'utf8')) as {
      name?: string;
      scripts?: Record<string, string>;
    };
    const hooks = ['preinstall', 'install', 'postinstall'].filter((hook) => scripts[hook] !== undefined);
    if (name !== undefined && hooks.length > 0) total.withScripts.push(`${name}: ${hooks}`);
  }
  return total;
}

/** A Node-RED as a person starts it: installed somewhere, with a user directory that has our package. */
export class InstalledNodeRed {
  #child: ChildProcess | undefined;
  output = '';

  private constructor(
    readonly node: string,
    readonly program: string,
    readonly userDirectory: string,
    readonly port: number,
    readonly mqttPort: number,
  ) {}

  /** @param node the Node.js to run it on @param installed the folder that `node-red` is installed in */
  static async create(node: string, installed: string, userDirectory: string) {
    const program = join(installed, 'node_modules/node-red/red.js');
    return new InstalledNodeRed(node, program, userDirectory, await freePort(), await freePort());
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const words = [this.program, '--userDir', this.userDirectory, '--port', String(this.port)];
    const child = spawn(this.node, words, {
      cwd: this.userDirectory,
      env: environment({ MQTT_PORT: String(this.mqttPort), PUBLIC_URL: this.url }),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    const keep = (data: Buffer) => {
      this.output += data.toString();
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    await eventually(
      async () => {
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
        return this.output.includes('Started flows') ? true : undefined;
      },
      'the start of Node-RED',
      60_000,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.output}`);
    });
  }

  /** The answer as JSON. @param path of the editor's API or of REST */
  async ask<T>(path: string, { token, body }: { token?: string; body?: unknown } = {}): Promise<T> {
    const answer = await fetch(this.url + path, {
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
      headers: {
        Accept: 'application/json',
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      },
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** `npx fieldloom …` in the user directory. @param input what it reads from standard input */
  async command<T>(words: string[], input = ''): Promise<T> {
    const program = join(this.userDirectory, 'node_modules/.bin/fieldloom');
    const running = run(this.node, [program, '--json', ...words], {
      cwd: this.userDirectory,
      env: environment(),
    });
    running.child.stdin?.end(input);
    return JSON.parse((await running).stdout) as T;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    await exit;
  }
}
