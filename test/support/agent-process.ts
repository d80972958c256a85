import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../lib/core/clock.js';
import { silentLog } from '../../lib/core/log.js';
import { agentFiles } from '../../lib/firmware/agent-files.js';
import { createAgent } from '../../lib/firmware/agent-runner.js';
import { agentStore } from '../../lib/store/firmware-agent.js';
import { openStore } from '../../lib/store/open.js';
import { CONTROLLER_ID, STORE_ID } from './seed.js';

/** A controller's agent in a process of its own, to be killed. */
export interface AgentProcess {
  /** A message (base64), or the version that runs; fulfils when that is on disk, or the process has ended. */
  ask(question: { handle: string } | { installed: string }): Promise<void>;
  /** The types of the messages that it has published. */
  readonly said: string[];
  kill(): Promise<void>;
}

/** What was ever handed on, over all lives: written before anything else can happen. */
export const handedOn = (folder: string): { deploymentId: string; md5: string }[] => {
  try {
    const lines = readFileSync(join(folder, 'installs.log'), 'utf8').trim().split('\n');
    return lines.map((line) => JSON.parse(line));
  } catch {
    return [];
  }
};

export async function startAgentProcess(folder: string): Promise<AgentProcess> {
  const child = fork(__filename, [folder], { execArgv: [] });
  const said: string[] = [];
  const exited = once(child, 'exit');
  child.on('message', (message: { said?: string }) => {
    if (message.said !== undefined) said.push(JSON.parse(message.said).event_type);
  });
  await once(child, 'message');
  return {
    said,
    async ask(question) {
      child.send(question);
      const done = new Promise<void>((resolve) => {
        child.on('message', (message: { done?: boolean }) => message.done && resolve());
      });
      await Promise.race([done, exited]);
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

async function serve(folder: string): Promise<void> {
  const store = await openStore(`sqlite:${join(folder, 'agent.db')}`);
  const agent = createAgent({
    storeId: STORE_ID,
    controllerId: CONTROLLER_ID,
    store: agentStore(store, `${STORE_ID}/${CONTROLLER_ID}`),
    files: agentFiles({
      folder: join(folder, 'files'),
      allowedHosts: [],
      publicKey: undefined,
      clock: systemClock,
    }),
    clock: systemClock,
    log: silentLog,
    link: {
      publish: (_topic, payload) =>
        new Promise((resolve) => {
          process.send?.({ said: String(payload) }, () => resolve());
        }),
    },
    listener: {
      install({ path, record }) {
        const { deploymentId } = record;
        const md5 = createHash('md5').update(readFileSync(path)).digest('hex');
        appendFileSync(join(folder, 'installs.log'), `${JSON.stringify({ deploymentId, md5 })}\n`);
        // The installation takes a moment, in which the process may be killed too.
        setTimeout(() => void agent.answer(deploymentId, { result: 'installed' }), 20);
      },
      cancelAsked() {},
    },
  });
  process.on('message', ({ handle, installed }: { handle?: string; installed?: string }) => {
    const done =
      handle !== undefined
        ? agent.handle({ payload: Buffer.from(handle, 'base64') })
        : agent.installed(installed as string);
    done.then(() => process.send?.({ done: true }));
  });
  process.on('disconnect', () => process.exit());
  await agent.start();
  process.send?.({ ready: true });
}

if (require.main === module) void serve(process.argv[2] as string);
