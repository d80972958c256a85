// A gateway in a process of its own that counts for a test what it holds open.
import RED from 'node-red';
import { startGateway } from '../../bin/gateway.js';
import { readSettings } from '../../bin/settings.js';
import { routes } from '../../nodes/runtime/http.js';

export interface Held {
  /** Kinds of open resources of Node.js (sockets, servers, timers …) and how many there are. */
  resources: Record<string, number>;
  upgradeListeners: number;
  /** Layers of the Express application that flows serve HTTP with. */
  layers: number;
  routes: number;
  /** Listeners of Node-RED's own events. */
  eventListeners: number;
}

function held(): Held {
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  const { httpNode, events } = RED;
  return {
    resources,
    upgradeListeners: RED.server.listenerCount('upgrade'),
    layers: (httpNode as unknown as { _router: { stack: unknown[] } })._router.stack.length,
    routes: routes(RED as never).size,
    eventListeners: events.eventNames().reduce((sum, name) => sum + events.listenerCount(name), 0),
  };
}

async function main() {
  const gateway = await startGateway(readSettings(process.env));
  process.on('message', (message) => {
    if (message === 'held') process.send?.(held());
    else gateway.stop().then(() => process.exit(0));
  });
  process.send?.(await gateway.ready(30_000));
}

void main();
