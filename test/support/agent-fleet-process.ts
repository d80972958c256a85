import { fork } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../lib/core/clock.js';
import { silentLog } from '../../lib/core/log.js';
import { agentFiles } from '../../lib/firmware/agent-files.js';
import { createAgent } from '../../lib/firmware/agent-runner.js';
import { connect } from '../../lib/mqtt/connection.js';
import { agentStore } from '../../lib/store/firmware-agent.js';
import { openStore } from '../../lib/store/open.js';

/** One controller: where it belongs, its MQTT login, and how its installations end. */
export interface FleetMember {
  storeId: string;
  controllerId: string;
  username: string;
  password: string;
  fails: boolean;
}

interface Settings {
  folder: string;
  url: string;
  members: FleetMember[];
}

/** Many controllers with a real agent each, in a process of their own, to be killed. */
export interface AgentFleet {
  kill(): Promise<void>;
}

/** What was ever handed on for installation, over all lives: written before anything else can happen. */
export function handedOn(folder: string): { controllerId: string; deploymentId: string }[] {
  try {
    const lines = readFileSync(join(folder, 'installs.log'), 'utf8').trim().split('\n');
    return lines.map((line) => JSON.parse(line));
  } catch {
    return [];
  }
}

export async function startAgentFleet(settings: Settings): Promise<AgentFleet> {
  const child = fork(__filename, [JSON.stringify(settings)], { execArgv: [] });
  const exited = once(child, 'exit');
  await Promise.race([
    once(child, 'message'),
    exited.then(([code]) => {
      throw new Error(`the fleet ended with ${code} before it was ready`);
    }),
  ]);
  return {
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

async function serve({ folder, url, members }: Settings): Promise<void> {
  const store = await openStore(`sqlite:${join(folder, 'agents.db')}`);
  const installed = new Set(handedOn(folder).map(({ controllerId }) => controllerId));
  const ready = members.map(async ({ storeId, controllerId, username, password, fails }) => {
    const link = connect({
      url,
      clientId: username,
      username,
      password,
      reconnect: { firstMs: 100, maxMs: 500, jitter: 0.2 },
      log: silentLog,
    });
    const agent = createAgent({
      storeId,
      controllerId,
      link,
      store: agentStore(store, `${storeId}/${controllerId}`),
      files: agentFiles({
        folder: join(folder, controllerId),
        allowedHosts: [],
        publicKey: undefined,
        clock: systemClock,
      }),
      clock: systemClock,
      log: silentLog,
      listener: {
        install({ record: { deploymentId } }) {
          const line = JSON.stringify({ controllerId, deploymentId });
          appendFileSync(join(folder, 'installs.log'), `${line}\n`);
          const answer = fails
            ? ({ result: 'failed', errors: ['no space left'] } as const)
            : ({ result: 'installed' } as const);
          // The installation takes a moment, in which the process may be killed too.
          setTimeout(() => void agent.answer(deploymentId, answer), 20);
        },
        cancelAsked() {},
      },
    });
    await agent.start();
    await link.subscribe(agent.topic, { qos: 1 }, agent.handle);
    // What was handed on is what runs after a restart, except where installing fails.
    await agent.installed(!fails && installed.has(controllerId) ? '1.0.1' : '1.0.0');
  });
  await Promise.all(ready);
  process.on('disconnect', () => process.exit());
  process.send?.('ready');
}

if (require.main === module) void serve(JSON.parse(process.argv[2] as string) as Settings);
