import { parentPort, workerData } from 'node:worker_threads';
import { BatchWriter } from './batch-writer.js';
import { Connection } from './connection.js';
import type { Answer, Request, WorkerSettings } from './messages.js';

/** The thread that owns one SQLite connection: a slow disk stalls this thread alone. */
const connection = new Connection(workerData as WorkerSettings);
const writer = new BatchWriter(connection);

function answer(request: Request): Answer {
  const { id } = request;
  try {
    switch (request.kind) {
      case 'batch':
        return { id, failures: writer.write(request) };
      case 'query': {
        const rows = connection.query(request.sql, request.parameters);
        return { id, rows, ...(request.changes ? connection.lastChange() : { changes: 0, insertId: 0 }) };
      }
      case 'close':
        connection.close();
        return { id, closed: true };
    }
  } catch (error) {
    return { id, failure: connection.failed(error) };
  }
}

parentPort?.on('message', (request: Request) => {
  parentPort?.postMessage(answer(request));
  if (request.kind === 'close') parentPort?.close();
});
