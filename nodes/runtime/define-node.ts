import type { Node, NodeAPI, NodeDef, NodeMessage } from 'node-red';
import { asError, FieldloomError } from '../../lib/core/errors.js';
import type { Log } from '../../lib/core/log.js';
import { whenFlowsStarted } from './flows-started.js';
import { sharedText } from './text.js';

/** What one Node-RED node instance offers to others (a store, a link …), read by `context.use`. */
const PROVIDED = Symbol.for('fieldloom.provided');
/** Event of the runtime, with the node's id, when a node begins to offer something. */
export const PROVIDES = 'fieldloom:provides';

export type Level = 'working' | 'waiting' | 'failed' | 'idle';

const APPEARANCE = {
  working: { fill: 'green', shape: 'dot' },
  waiting: { fill: 'yellow', shape: 'ring' },
  failed: { fill: 'red', shape: 'ring' },
  idle: { fill: 'grey', shape: 'dot' },
} as const;

type Outputs = (NodeMessage | NodeMessage[] | null | undefined)[];

export interface NodeContext<Config, Credentials> {
  readonly RED: NodeAPI;
  readonly node: Node;
  readonly config: NodeDef & Config;
  readonly credentials: Partial<Credentials>;
  readonly log: Log;
  /** Aborted when the node closes: status and reports after that are dropped. */
  readonly closed: AbortSignal;
  /** Text is the key `status.<key>` of the node's locale. */
  status(level: Level, key: string, values?: Record<string, string | number>): void;
  /** Sends one message an output, once all nodes of the deploy are there: earlier it might reach nobody. */
  send(...outputs: Outputs): void;
  /** Whether anything is wired to this output now: making a message that nobody takes can be spared. */
  wired(output: number): boolean;
  /** Reports, once, what no message of a flow has caused (a Catch node sees it with an empty message). */
  report(error: unknown): void;
  /** Makes `value` available to nodes that name this one in their configuration. */
  provide(value: unknown): void;
  /** What the configuration node with this id provides. @throws FieldloomError missing_setting */
  use<T>(id: string | undefined, property: string): T;
  /** As `use`, or undefined where the property is empty. @throws FieldloomError missing_setting where it dangles */
  useOptional<T>(id: string | undefined, property: string): T | undefined;
}

export interface NodeBehaviour {
  /** Fulfils when the message is done with; what it throws reaches the user by `done`. */
  input?(
    message: NodeMessage & Record<string, unknown>,
    send: (outputs: Outputs) => void,
  ): Promise<void> | void;
  /** Lasting work at start; what it throws is reported and shown as failed. */
  start?(): Promise<void>;
  /** Gives back everything: listeners, timers, routes, connections. */
  close?(removed: boolean): Promise<void> | void;
}

/** What the node with this id provides now; undefined where there is no such node, or it provides nothing. */
export function providedBy<T>(RED: NodeAPI, id: string): T | undefined {
  return (RED.nodes.getNode(id) as unknown as { [PROVIDED]?: T } | null)?.[PROVIDED];
}

/** Node-RED leaves `${NAME}` as it is where the variable is not set: for a node that is an empty setting. */
function withoutUnsetVariables<T extends object>(settings: T): T {
  const entries = Object.entries(settings).map(([name, value]) => [
    name,
    typeof value === 'string' && /^\$(\{[^}]+\}|\([^)]+\))$/.test(value) ? '' : value,
  ]);
  return Object.fromEntries(entries) as T;
}

function logOf(node: Node): Log {
  return {
    debug: (text) => node.debug(text),
    info: (text) => node.log(text),
    warn: (text) => node.warn(text),
    error: (text) => node.error(text),
  };
}

/**
 * Registers a node type. The one place that handles input promises, `done`, errors, status and close.
 * @param type as in package.json, for example `fieldloom-broker`
 * @param create makes one instance's behaviour; what it throws (a missing setting) is reported and shown
 */
export function defineNode<Config, Credentials extends object = Record<string, never>>(
  RED: NodeAPI,
  type: string,
  create: (context: NodeContext<Config, Credentials>) => NodeBehaviour,
  options: { credentials?: Record<keyof Credentials, { type: 'text' | 'password' }> } = {},
): void {
  function construct(this: Node, config: NodeDef & Config): void {
    RED.nodes.createNode(this, config);
    const node = this;
    const closing = new AbortController();
    let early: Outputs[] | undefined = [];
    whenFlowsStarted(RED, () => {
      const waiting = early ?? [];
      early = undefined;
      if (!closing.signal.aborted) for (const outputs of waiting) node.send(outputs as never);
    });
    const report = (error: unknown) => {
      if (!closing.signal.aborted) node.error(asError(error), {});
    };
    const context: NodeContext<Config, Credentials> = {
      RED,
      node,
      config: withoutUnsetVariables(config),
      credentials: withoutUnsetVariables((node.credentials ?? {}) as Partial<Credentials>),
      log: logOf(node),
      closed: closing.signal,
      status(level, key, values) {
        if (closing.signal.aborted) return;
        node.status({ ...APPEARANCE[level], text: RED._(`status.${key}`, values as never) });
      },
      send(...outputs) {
        if (early === undefined) node.send(outputs as never);
        else early.push(outputs);
      },
      // Asked each time: a deploy may change the wires of a node that goes on.
      wired: (output) => ((node as unknown as { wires?: unknown[][] }).wires?.[output]?.length ?? 0) > 0,
      report,
      provide(value) {
        Object.assign(node, { [PROVIDED]: value });
        RED.events.emit(PROVIDES, node.id);
      },
      use<T>(id: string | undefined, property: string) {
        const value = context.useOptional<T>(id, property);
        if (value === undefined) {
          throw new FieldloomError('missing_setting', sharedText('missing', { property }), {
            details: { property },
          });
        }
        return value;
      },
      useOptional<T>(id: string | undefined, property: string) {
        if (id === undefined || id === '') return undefined;
        const value = providedBy<T>(RED, id);
        if (value === undefined) {
          throw new FieldloomError('missing_setting', sharedText('unknown', { property }), {
            details: { property },
          });
        }
        return value;
      },
    };

    const failed = (error: unknown) => {
      context.status('failed', 'failed');
      report(error);
    };
    let behaviour: NodeBehaviour = {};
    try {
      behaviour = create(context);
    } catch (error) {
      failed(error);
    }
    behaviour.start?.().catch(failed);

    if (behaviour.input !== undefined) {
      node.on('input', (message, send, done) => {
        Promise.resolve()
          .then(() =>
            behaviour.input?.(message as NodeMessage & Record<string, unknown>, (outputs) =>
              send(outputs as never),
            ),
          )
          .then(
            () => done(),
            (error: unknown) => done(asError(error)),
          );
      });
    }
    node.on('close', (removed: boolean, done: () => void) => {
      closing.abort();
      Promise.resolve()
        .then(() => behaviour.close?.(removed))
        .catch((error: unknown) => node.warn(asError(error).message))
        .finally(done);
    });
  }

  RED.nodes.registerType(
    type,
    construct as never,
    options.credentials ? { credentials: options.credentials as never } : {},
  );
}
