import type { NodeAPI } from 'node-red';
import type { Dispatcher } from '../../lib/command/ports.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { parseAllowedCommands } from '../../lib/solar/allowed-commands.js';
import { LARGEST_LIMIT } from '../../lib/store/page.js';
import { defineNode } from '../runtime/define-node.js';
import { follow } from '../runtime/follow.js';
import { routes } from '../runtime/http.js';
import type { ProvidedTelemetry } from '../telemetry-store/provided.js';
import { type HistoryRequest, historyRequest } from './request.js';
import { companyRoutes, telemetryPage } from './rest.js';

interface Config {
  /** Ids of other nodes: a telemetry-store node, and a device-command node. */
  telemetry: string;
  commands: string;
  /** JSON: commands by company. */
  allowed: string;
}

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-history', ({ config, status, use }) => {
    if (!config.telemetry) use(config.telemetry, 'telemetry');
    const allowed = parseAllowedCommands(config.allowed);
    const telemetry = follow<ProvidedTelemetry>(RED, config.telemetry, () => {
      show();
      return () => {};
    });
    const commands = follow<Dispatcher>(RED, config.commands, () => () => {});

    function store(): ProvidedTelemetry {
      const found = telemetry.current();
      if (found !== undefined) return found;
      throw new FieldloomError('store_unavailable', 'the telemetry store node is not there yet');
    }
    function dispatcher(): Dispatcher {
      const found = commands.current();
      if (found !== undefined) return found;
      if (config.commands) {
        throw new FieldloomError('store_unavailable', 'the command node is not there yet');
      }
      throw new FieldloomError('not_found', 'no command node is named: machines take no commands here');
    }
    const stop = routes(RED).add(companyRoutes({ telemetry: store, dispatcher, allowed }));

    function show(): void {
      if (telemetry.current() === undefined) status('waiting', 'telemetry');
      else status('working', 'ready');
    }
    RED.events.on('flows:started', show);

    /** All points that are wanted, in the order of time. */
    async function points({ ids, resolution, span, limit }: HistoryRequest): Promise<object[]> {
      const machine = await store().machine(ids);
      if (machine === undefined) {
        const { companyId, machineId } = ids;
        throw new FieldloomError('not_found', `there is no machine ${machineId} of company ${companyId}`);
      }
      const found: object[] = [];
      let cursor: string | undefined;
      do {
        const page = await telemetryPage(store(), machine, resolution, {
          ...span,
          limit: Math.min(LARGEST_LIMIT, limit - found.length),
          ...(cursor !== undefined && { cursor }),
        });
        found.push(...page.items);
        cursor = page.next_cursor ?? undefined;
      } while (cursor !== undefined && found.length < limit);
      return found.reverse();
    }

    return {
      async start() {
        show();
      },
      async input(message, send) {
        message.payload = await points(historyRequest(message.payload));
        send([message]);
      },
      close() {
        RED.events.off('flows:started', show);
        telemetry.close();
        commands.close();
        stop();
      },
    };
  });
};
