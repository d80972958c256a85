import { once } from 'node:events';
import { WebSocket } from 'ws';

/** What the nodes of a running Node-RED show, as its editor hears it. */
export interface NodeStatus {
  /** The text below a node; undefined until it has shown one. */
  of(id: string): string | undefined;
  close(): void;
}

/** @param url of an editor that wants no login */
export async function watchNodeStatus(url: string): Promise<NodeStatus> {
  const texts = new Map<string, string>();
  const socket = new WebSocket(`${url.replace('http', 'ws')}/comms`);
  socket.on('message', (data) => {
    const said = JSON.parse(data.toString()) as { topic: string; data: { text?: string } }[];
    for (const { topic, data: status } of [said].flat()) {
      const [, id] = /^status\/(.+)$/.exec(topic) ?? [];
      if (id !== undefined) texts.set(id, status.text ?? '');
    }
  });
  await once(socket, 'open');
  socket.send(JSON.stringify({ subscribe: 'status/#' }));
  return { of: (id) => texts.get(id), close: () => socket.close() };
}
