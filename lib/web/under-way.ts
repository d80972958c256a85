import type { Server } from 'node:http';

/**
 * Follows the requests of a server.
 * @returns what fulfils when those that are under way at that moment are over, whatever became of them
 */
export function followRequests(server: Server): () => Promise<unknown> {
  const open = new Set<Promise<void>>();
  server.on('request', (_request, response) => {
    const over = new Promise<void>((resolve) => response.once('close', resolve));
    open.add(over);
    void over.then(() => open.delete(over));
  });
  return () => Promise.all(open);
}
