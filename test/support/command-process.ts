import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createDispatcher } from '../../lib/command/dispatcher.js';
import { createProfile } from '../../lib/command/profile.js';
import { systemClock } from '../../lib/core/clock.js';
import { silentLog } from '../../lib/core/log.js';
import { connect } from '../../lib/mqtt/connection.js';
import { commandStore } from '../../lib/store/command.js';
import { openStore } from '../../lib/store/open.js';

/** What a gateway is started with: its store, its broker, and which commands it asks for. */
export interface CommandGateway {
  store: string;
  broker: string;
  username: string;
  password: string;
  /** Of the devices `pump-0`, `pump-1` … */
  devices: number;
  /** Commands to ask for, one every `everyMs`. */
  ids: readonly string[];
  everyMs: number;
}

/** A gateway in a process of its own, to be killed. It reports each command that it has been told is stored. */
export function startCommandProcess(gateway: CommandGateway): { child: ChildProcess; stored: Set<string> } {
  const child = fork(__filename, [JSON.stringify(gateway)], { execArgv: [] });
  const stored = new Set<string>();
  child.on('message', (id: string) => stored.add(id));
  return { child, stored };
}

/** Ends it as a power cut does. */
export async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function serve(gateway: CommandGateway): Promise<void> {
  const store = await openStore(gateway.store);
  const link = connect({
    url: gateway.broker,
    clientId: 'gateway',
    username: gateway.username,
    password: gateway.password,
    reconnect: { firstMs: 50, maxMs: 50, jitter: 0 },
  });
  const dispatcher = createDispatcher({
    name: 'ponds',
    profile: createProfile({ profile: 'pond' }),
    store: commandStore(store),
    link,
    clock: systemClock,
    log: silentLog,
    settings: { ackTimeoutMs: 400, inFlight: 3 },
  });
  void link.subscribe(dispatcher.filter as string, { qos: 1 }, dispatcher.handle);
  await dispatcher.start();
  for (const [index, id] of gateway.ids.entries()) {
    await new Promise((resolve) => setTimeout(resolve, gateway.everyMs));
    dispatcher
      .submit({
        id,
        device: `pump-${index % gateway.devices}`,
        commandType: 'FEED',
        parameters: { amount: 100 },
        values: { pond_position: 1 },
      })
      .then(
        () => process.send?.(id),
        () => {},
      );
  }
}

if (require.main === module) void serve(JSON.parse(process.argv[2] as string) as CommandGateway);
