import { EventEmitter, once } from 'node:events';
import type { Node, NodeMessage } from 'node-red';
import helper from 'node-red-node-test-helper';

type Message = NodeMessage & Record<string, unknown>;

/** Flows in a Node-RED runtime with an HTTP server, loaded and unloaded around each test. */
export async function startRuntime(userDir: string): Promise<void> {
  helper.init(require.resolve('node-red'), { userDir });
  await new Promise<void>((resolve, reject) => {
    helper.startServer((error?: Error) => (error ? reject(error) : resolve()));
  });
}

export async function stopRuntime(): Promise<void> {
  await helper.unload();
  await new Promise<void>((resolve) => {
    helper.stopServer(() => resolve());
  });
}

export interface LoadedFlow {
  node(id: string): Node;
  /** Messages that have reached a `helper` node. */
  received(id: string): Message[];
  /** The n-th message (from 1) that reaches a `helper` node; the test runner's deadline is the deadline. */
  message(id: string, count?: number): Promise<Message>;
  /** Sends a message into a node; fulfils or rejects as its `done` says. */
  send(id: string, message: object): Promise<void>;
}

/** Loads a flow, with credentials by node id; nodes of the type `helper` collect what reaches them. */
export async function loadFlow(
  modules: unknown[],
  flow: { id: string; type: string }[],
  credentials: Record<string, object> = {},
): Promise<LoadedFlow> {
  await helper.load(modules, flow, credentials);
  const inboxes = new Map<string, { messages: Message[]; arrived: EventEmitter }>();
  for (const { id } of flow.filter(({ type }) => type === 'helper')) {
    const inbox = { messages: [] as Message[], arrived: new EventEmitter() };
    inboxes.set(id, inbox);
    helper.getNode(id).on('input', (message: NodeMessage) => {
      inbox.messages.push(message as Message);
      inbox.arrived.emit('message');
    });
  }
  const inboxOf = (id: string) => {
    const inbox = inboxes.get(id);
    if (inbox === undefined) throw new Error(`${id} is no helper node of this flow`);
    return inbox;
  };
  return {
    node: (id) => helper.getNode(id),
    received: (id) => inboxOf(id).messages,
    async message(id, count = 1) {
      const { messages, arrived } = inboxOf(id);
      while (messages.length < count) await once(arrived, 'message');
      return messages[count - 1] as Message;
    },
    send(id, message) {
      const node = helper.getNode(id) as unknown as {
        _complete(message: object, error?: unknown): void;
        receive(message: object): void;
      };
      return new Promise((resolve, reject) => {
        // What Node-RED calls when a node calls done, whether or not a Catch or Complete node is there.
        const complete = node._complete.bind(node);
        node._complete = (done, error) => {
          complete(done, error);
          if (error === undefined || error === null) resolve();
          else reject(error);
        };
        node.receive(message);
      });
    },
  };
}

/** What a node has reported as an error since its flow was loaded. */
export function errorsOf(id: string): string[] {
  const { args, ERROR } = helper.log();
  return args
    .filter(([entry]) => entry.level === ERROR && entry.id === id)
    .map(([entry]) => String(entry.msg));
}

export const unloadFlow = () => helper.unload();
