import { join } from 'node:path';
import type { NodeAPI } from 'node-red';
import { asError, FieldloomError } from '../../lib/core/errors.js';
import { deadLetters } from '../../lib/store/dead-letters.js';
import { openWhenPossible } from '../../lib/store/open-when-possible.js';
import { type Retention, type RetentionSettings, startRetention } from '../../lib/store/retention.js';
import type { Store } from '../../lib/store/store.js';
import { defineNode } from '../runtime/define-node.js';
import { addHealthCheck, type Health } from '../runtime/health.js';
import { routes } from '../runtime/http.js';
import { addFigure } from '../runtime/metrics.js';
import { replayed } from '../runtime/replay.js';
import { deadLetterRoutes } from './dead-letter-routes.js';

interface Config {
  url: string;
  messageDays: string;
  changeDays: string;
  deadLetterDays: string;
}

/** What a store node offers to nodes that name it. */
export interface ProvidedStore {
  /** Fulfils when the database is open; rejects when the node closes before, or where it can never open. */
  store: Promise<Store>;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** Days as written in the editor; empty keeps everything. @throws FieldloomError invalid_setting */
function keepFor(name: string, days: string | undefined): number {
  if (days === undefined || days.trim() === '') return Number.MAX_SAFE_INTEGER;
  const number = Number(days);
  if (!(number > 0)) {
    throw new FieldloomError('invalid_setting', `${name} is ${days}: accepted is a number of days above 0`);
  }
  return number * DAY_MS;
}

function withPassword(url: string, password: string | undefined): string {
  if (password === undefined || password === '' || !URL.canParse(url)) return url;
  const parsed = new URL(url);
  parsed.password = password;
  return parsed.href;
}

export = (RED: NodeAPI): void => {
  defineNode<Config, { password: string }>(
    RED,
    'fieldloom-store',
    ({ config, credentials, log, closed, provide }) => {
      const directory = (RED.settings as { userDir?: string }).userDir ?? '.';
      const url = withPassword(
        config.url === '' || config.url === undefined
          ? `sqlite:${join(directory, 'fieldloom.db')}`
          : config.url,
        credentials.password,
      );
      const retention: Partial<RetentionSettings> = {
        messageMs: keepFor('messageDays', config.messageDays),
        stateChangeMs: keepFor('changeDays', config.changeDays),
        deadLetterMs: keepFor('deadLetterDays', config.deadLetterDays),
      };
      let open: Store | undefined;
      let cleaning: Retention | undefined;
      let problem: Error | undefined;
      const store = openWhenPossible(url, {
        log,
        signal: closed,
        onWait(reason) {
          problem = reason;
        },
      });
      provide({ store } satisfies ProvidedStore);

      const check = (): Health =>
        open === undefined
          ? { ok: false, detail: problem?.message ?? 'opening' }
          : { ok: open.state === 'open', detail: open.reason?.message ?? open.state };
      const letters = () => {
        if (open === undefined) throw new FieldloomError('store_unavailable', 'the store is not open yet');
        return deadLetters(open);
      };
      const disposals = [
        addHealthCheck('store', check),
        addFigure({
          name: 'fieldloom_store_pending_units',
          help: 'Units that wait for their commit',
          read: () => [{ value: open?.pending ?? 0 }],
        }),
        routes(RED).add(deadLetterRoutes(letters, (letter) => replayed(RED, letter))),
      ];

      return {
        async start() {
          try {
            open = await store;
            cleaning = startRetention(open, { settings: retention, log });
          } catch (error) {
            problem = asError(error);
            throw error;
          }
        },
        async close() {
          for (const dispose of disposals) dispose();
          await cleaning?.stop();
          await open?.close();
        },
      };
    },
    { credentials: { password: { type: 'password' } } },
  );
};
