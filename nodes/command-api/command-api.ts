import type { NodeAPI, NodeMessage } from 'node-red';
import { createPondControl } from '../../lib/command/pond-control.js';
import { formatExecution } from '../../lib/command/pond-format.js';
import type { Dispatcher } from '../../lib/command/ports.js';
import { systemClock } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { commandStore } from '../../lib/store/command.js';
import { ponds } from '../../lib/store/pond.js';
import { pondOverview } from '../../lib/store/pond-overview.js';
import type { Store } from '../../lib/store/store.js';
import { REFRESH_MS } from '../../lib/web/live-hub.js';
import type { ProvidedDevices } from '../device-events/provided.js';
import { defineNode } from '../runtime/define-node.js';
import { follow } from '../runtime/follow.js';
import type { ProvidedStore } from '../store/store.js';
import { createPondFeeds } from './live.js';
import type { PondRest } from './ports.js';
import { servePonds } from './serve.js';

interface Config {
  store: string;
  /** Ids of other nodes: a device-command node, and a device-events node. */
  commands: string;
  devices: string;
}

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-command-api', (context) => {
    const { config, log, closed, status, send, wired, use } = context;
    const { store, shared } = use<ProvidedStore>(config.store, 'store');
    if (!config.commands) use(config.commands, 'commands');
    let open: Store | undefined;

    const opened = (): Store => {
      if (open === undefined) throw new FieldloomError('store_unavailable', 'the store is not open yet');
      return open;
    };
    let repositories: ReturnType<typeof openRepositories> | undefined;
    function openRepositories(from: Store) {
      const commands = commandStore(from);
      return {
        ponds: ponds(from),
        overview: pondOverview(from),
        commands,
        control: createPondControl({ store: commands, dispatcher: rest.dispatcher, clock: systemClock }),
      };
    }
    const repository = () => {
      repositories ??= openRepositories(opened());
      return repositories;
    };

    const rest: PondRest = {
      ponds: () => repository().ponds,
      overview: () => repository().overview,
      executions: () => repository().commands,
      control: () => repository().control,
      dispatcher() {
        const dispatcher = commands.current();
        if (dispatcher !== undefined) return dispatcher;
        if (RED.nodes.getNode(config.commands)) {
          throw new FieldloomError('store_unavailable', 'the command node has not opened its store yet');
        }
        return use<Dispatcher>(config.commands, 'commands');
      },
      devices: () => devices.current(),
      refused({ method, path, address, principal }, { status: code, body }) {
        if (!wired(1)) return;
        const { error, detail } = body as { error?: string; detail?: string };
        const payload = {
          method,
          path,
          status: code,
          error: error ?? detail,
          user: principal?.username ?? null,
          address,
        };
        send(null, { topic: path, payload } as NodeMessage);
      },
      clock: systemClock,
    };
    const feeds = createPondFeeds({
      rest,
      clock: systemClock,
      log,
      output: {
        wanted: () => wired(0),
        execution(found) {
          if (!wired(0)) return;
          const topic = `ponds/${found.execution.pondId}/executions`;
          send({ topic, payload: formatExecution(found) } as NodeMessage);
        },
      },
    });

    function show(): void {
      if (open === undefined) status('waiting', 'store');
      else if (commands.current() === undefined) status('waiting', 'commands');
      else status('working', 'ready');
    }
    const commands = follow<Dispatcher>(RED, config.commands, (dispatcher) => {
      show();
      return dispatcher.listen({ changed: feeds.changed });
    });
    const devices = follow<ProvidedDevices>(RED, config.devices, (provided) =>
      provided.listen(feeds.devices),
    );
    const stop = servePonds(RED, rest, feeds, log);
    const stopRefreshing = shared && feeds.hub.refreshEvery(REFRESH_MS);
    RED.events.on('flows:started', show);

    return {
      async start() {
        show();
        open = await store;
        if (!closed.aborted) show();
      },
      close() {
        RED.events.off('flows:started', show);
        commands.close();
        devices.close();
        stopRefreshing?.();
        stop();
      },
    };
  });
};
