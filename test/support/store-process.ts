import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { DatabaseSync } from 'node:sqlite';
import { commandStore } from '../../lib/store/command.js';
import { openStore } from '../../lib/store/open.js';
import { writeSetting } from '../../lib/store/settings.js';
import type { Store } from '../../lib/store/store.js';
import { later, settingInsert, settings } from './store.js';

/**
 * A second process on the same database, driven by messages. What it does, by command:
 * open, close; number <from>: commits settings `from`, `from + 1` … until killed, reporting each after its promise;
 * executionIds <count>: answers so many; read: answers all settings; lock: takes SQLite's write lock; unlock; write <name> <value>.
 */
export interface StoreProcess {
  readonly child: ChildProcess;
  /** Sends a command and fulfils with its answer. */
  ask(command: string, ...parameters: (string | number)[]): Promise<unknown>;
}

/** Starts it; `cleanUp` ends it. */
export function startStoreProcess(url: string): StoreProcess {
  const child = fork(__filename, [url], { execArgv: [] });
  const exited = once(child, 'exit');
  later(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return {
    child,
    ask(command, ...parameters) {
      return new Promise((fulfil, reject) => {
        const answered = (message: { answer?: unknown; error?: string }) => {
          child.off('exit', gone);
          if (message.error === undefined) fulfil(message.answer);
          else reject(new Error(message.error));
        };
        const gone = () => reject(new Error('the process has ended'));
        child.once('message', answered);
        child.once('exit', gone);
        child.send([command, ...parameters]);
      });
    },
  };
}

function serve(url: string): void {
  let store: Store | undefined;
  let lock: DatabaseSync | undefined;
  const opened = () => {
    if (store === undefined) throw new Error('not open');
    return store;
  };

  const commands: Record<string, (...parameters: never[]) => Promise<unknown> | unknown> = {
    async open() {
      store = await openStore(url);
    },
    close: () => opened().close(),
    read: () => settings(opened()),
    async executionIds(count: number) {
      const { nextExecutionId } = commandStore(opened());
      const ids: number[] = [];
      while (ids.length < count) ids.push(await nextExecutionId());
      return ids;
    },
    write: (name: string, value: string) => writeSetting(opened(), name, value),
    lock() {
      lock = new DatabaseSync(url.slice('sqlite:'.length));
      lock.exec('pragma busy_timeout = 5000; begin immediate');
    },
    unlock: () => lock?.exec('rollback'),
    number(from: number) {
      const insert = settingInsert(opened());
      const report = (number: number) => process.send?.({ number });
      let next = from;
      const one = () => {
        const number = next;
        next += 1;
        opened()
          .commit([insert(`n${number}`), insert(`n${number}-second`)])
          .then(() => {
            report(number);
            one();
          });
      };
      for (let lane = 0; lane < 50; lane += 1) one();
    },
  };

  process.on('message', ([command, ...parameters]: [string, ...never[]]) => {
    Promise.resolve()
      .then(() => commands[command]?.(...parameters))
      .then(
        (answer) => process.send?.({ answer }),
        (error: Error) => process.send?.({ error: error.message }),
      );
  });
}

if (require.main === module) serve(process.argv[2] as string);
