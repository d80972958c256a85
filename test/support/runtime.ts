import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import express from 'express';
import type { NodeAPI } from 'node-red';

export interface Runtime {
  /** What a node sees of Node-RED's HTTP side: a real Express application on a real server. */
  RED: NodeAPI;
  server: Server;
  url: string;
  errors: string[];
  close(): Promise<void>;
}

/** The HTTP side of a Node-RED runtime on a free port. */
export async function httpRuntime({ httpNodeRoot = '/' } = {}): Promise<Runtime> {
  const httpNode = express();
  const app = express();
  app.use(httpNodeRoot, httpNode);
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const errors: string[] = [];
  const RED = {
    httpNode,
    server,
    settings: { httpNodeRoot },
    log: { error: (text: string) => errors.push(text) },
  };
  return {
    RED: RED as unknown as NodeAPI,
    server,
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    errors,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
