import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './ports.js';

const ROOT = join(__dirname, '../../..');
const run = promisify(execFile);

/** Asks until the answer is there; the only kind of waiting in tests that are about other processes. */
export async function eventually<T>(
  ask: () => Promise<T | undefined>,
  what: string,
  withinMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`${what} did not happen within ${withinMs} ms${last ? `: ${last}` : ''}`);
}

/** The real system, started as `npm start` does, in a directory of its own. */
export class Gateway {
  private child: ChildProcess | undefined;
  output = '';

  private constructor(
    readonly directory: string,
    readonly env: Record<string, string>,
  ) {}

  static async create(env: Record<string, string> = {}): Promise<Gateway> {
    const directory = await mkdtemp(join(tmpdir(), 'fieldloom-test-'));
    return new Gateway(directory, {
      HOST: '127.0.0.1',
      PORT: String(await freePort()),
      MQTT_PORT: String(await freePort()),
      FIELDLOOM_DIR: directory,
      SIMULATE: '0',
      ...env,
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.env['PORT']}`;
  }

  get mqttUrl(): string {
    return this.env['MQTT_URL'] ?? `mqtt://127.0.0.1:${this.env['MQTT_PORT']}`;
  }

  /** The environment of the commands, without what this test run itself was given. */
  private get childEnv(): NodeJS.ProcessEnv {
    return { PATH: process.env['PATH'], HOME: process.env['HOME'], ...this.env };
  }

  /** Starts the process and fulfils when /health says ok. @param health 503: of one that stands by */
  async start(health = 200): Promise<void> {
    const child = spawn(process.execPath, ['dist/bin/start.js'], {
      cwd: ROOT,
      env: this.childEnv,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    const keep = (data: Buffer) => {
      this.output += data.toString();
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    await eventually(
      async () => {
        if (child.exitCode !== null) return true;
        const { status } = await fetch(`${this.url}/health`);
        return status === health ? true : undefined;
      },
      'a healthy gateway',
      60_000,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.output}`);
    });
    if (child.exitCode !== null) throw new Error(`the gateway ended with ${child.exitCode}\n${this.output}`);
  }

  /** The gateway's command line, on its own directory; a last `{ input }` is what it reads from standard input. */
  async command(...parameters: (string | { input: string })[]): Promise<unknown> {
    const words = parameters.filter((parameter) => typeof parameter === 'string');
    const input = parameters.find((parameter) => typeof parameter === 'object');
    const running = run(process.execPath, ['dist/bin/fieldloom.js', '--json', ...words], {
      cwd: ROOT,
      env: this.childEnv,
    });
    running.child.stdin?.end(input?.input);
    return JSON.parse((await running).stdout);
  }

  async get<T>(path: string): Promise<T> {
    const answer = await fetch(this.url + path);
    if (!answer.ok) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }

  /** All items of a list, page by page. */
  async list<T>(path: string): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | null = null;
    do {
      const page: { items: T[]; next_cursor: string | null } = await this.get(
        `${path}${path.includes('?') ? '&' : '?'}limit=1000${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`,
      );
      items.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor);
    return items;
  }

  /** Ends the process with a signal and gives its exit code. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null)
      return child?.exitCode ?? null;
    const exit = once(child, 'exit');
    child.kill(signal);
    const [code] = await exit;
    return code as number | null;
  }

  /** Sends a signal and waits for nothing. */
  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  async remove(): Promise<void> {
    await this.end('SIGKILL');
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** The system with its simulated fleets, started. */
export async function simulatedGateway(): Promise<Gateway> {
  const gateway = await Gateway.create({ SIMULATE: '1' });
  await gateway.start();
  return gateway;
}
