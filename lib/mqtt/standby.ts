import { asError } from '../core/errors.js';
import type { Gateways } from '../core/gateways.js';
import type { Log } from '../core/log.js';
import { createTaskHolder, type TaskRow } from '../core/task-holder.js';

export interface StandbyOptions {
  gateways: Promise<Gateways>;
  task: Promise<TaskRow>;
  log: Log;
  connect(): void;
  disconnect(): Promise<void>;
}

/**
 * For brokers that cannot share out subscriptions: one gateway is connected and does all the work, the others stand by.
 * All have one client id, so that whoever comes after it goes on with its session.
 * @returns ends it, and the connection
 */
export function standBy({ gateways, task, log, connect, disconnect }: StandbyOptions): () => Promise<void> {
  let closed = false;

  async function begin() {
    const known = await gateways;
    const holder = createTaskHolder<true>({
      ...{ gateways: known, task: await task },
      able: () => true,
      async begin() {
        log.info('this gateway has the connection to the broker');
        connect();
        return true;
      },
      end: disconnect,
    });
    const look = () =>
      holder.settle(false).catch((error: unknown) => {
        if (!closed) log.warn(`who has the connection is not known: ${asError(error).message}`);
      });
    const stop = known.onLook(() => void look());
    return async () => {
      stop();
      await holder.close();
    };
  }

  const begun = begin();
  begun.catch(() => {}); // the store node reports it
  return async () => {
    closed = true;
    await (await begun.catch(() => undefined))?.();
  };
}
