import type { NodeAPI } from 'node-red';
import { systemClock } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { Link } from '../../lib/core/link.js';
import { parseObservations } from '../../lib/laundry/observation.js';
import type { ReportQueue } from '../../lib/laundry/ports.js';
import type { ReporterState } from '../../lib/laundry/reporter.js';
import { createReporter, type Reporter } from '../../lib/laundry/reporter-runner.js';
import { wiredLink } from '../../lib/mqtt/wired-link.js';
import { reportQueue } from '../../lib/store/reports.js';
import type { Store } from '../../lib/store/store.js';
import { defineNode } from '../runtime/define-node.js';
import { uuidSetting } from '../runtime/ids.js';
import { positiveNumber } from '../runtime/numbers.js';

interface Config {
  connection: string;
  store: string;
  storeId: string;
  controllerId: string;
  prefix: string;
  /** Seconds. */
  interval: string;
  version: string;
}

/** What a connection node provides; going away on purpose is for simulations of a lost network. */
interface Connection {
  link: Link;
  connect?(): void;
  disconnect?(): Promise<void>;
}

/** @throws FieldloomError invalid_input */
function checkedVersion(version: unknown): string {
  if (typeof version === 'string' && version !== '' && version.length <= 64) return version;
  throw new FieldloomError(
    'invalid_input',
    `msg.firmware_version is ${JSON.stringify(version)}: accepted is text of 1 to 64 characters`,
  );
}

/** Wires take everything at once, so nothing waits on disk. */
const noQueue: ReportQueue = { all: async () => [], add: async () => {}, remove: async () => {} };

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-machine-reporter', (context) => {
    const { config, log, status, closed } = context;
    const storeId = uuidSetting('store id', config.storeId);
    const controllerId = uuidSetting('controller id', config.controllerId);
    const connection = context.useOptional<Connection>(config.connection, 'connection');
    const link = connection?.link ?? wiredLink((publish) => context.send({ ...publish }));
    const opened =
      connection === undefined
        ? context.useOptional<{ store: Promise<Store> }>(config.store, 'store')
        : context.use<{ store: Promise<Store> }>(config.store, 'store');
    const settings = {
      prefix: config.prefix ?? '',
      intervalMs: positiveNumber('interval', config.interval, 30) * 1000,
      version: config.version || '1.0.0',
    };
    let reporter: Reporter | undefined;

    function show({ connected, waiting }: ReporterState): void {
      if (!connected) status('waiting', 'away', { count: waiting.length });
      else if (waiting.length > 0) status('working', 'sending', { count: waiting.length });
      else status('working', 'sent');
    }

    async function begin(): Promise<Reporter> {
      status('waiting', 'store');
      const queue =
        opened === undefined ? noQueue : reportQueue(await opened.store, `${storeId}/${controllerId}`);
      reporter = createReporter({
        storeId,
        controllerId,
        link,
        queue,
        clock: systemClock,
        log,
        settings,
        onState: show,
      });
      if (!closed.aborted) await reporter.start();
      return reporter;
    }
    const ready = begin();

    /** A flow that plays a controller with a bad network says so. */
    async function travel(action: unknown): Promise<void> {
      if (action === 'connect' && connection?.connect !== undefined) connection.connect();
      else if (action === 'disconnect' && connection?.disconnect !== undefined) await connection.disconnect();
      else {
        throw new FieldloomError(
          'invalid_input',
          'msg.payload.action: accepted is "connect" or "disconnect", with a connection to another broker',
        );
      }
    }

    return {
      async start() {
        await ready;
      },
      async input(message) {
        const { payload, firmware_version: version } = message;
        if (version !== undefined) await (await ready).runs(checkedVersion(version));
        if (version !== undefined && payload === undefined) return;
        if (payload !== null && typeof payload === 'object' && 'action' in payload) {
          return travel(payload.action);
        }
        const observations = parseObservations(payload);
        await (await ready).observe(observations);
      },
      close() {
        reporter?.close();
      },
    };
  });
};
