// A Node-RED of its own with one flow, measured from inside.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import express from 'express';
import RED from 'node-red';
import { answerParent, measure } from './statistics.js';

const settings = JSON.parse(process.argv[2] as string) as {
  userDir: string;
  nodesDir: string[];
  flow: unknown[];
  credentials?: Record<string, Record<string, string>>;
};

async function start(): Promise<void> {
  writeFileSync(join(settings.userDir, 'flows.json'), JSON.stringify(settings.flow));
  if (settings.credentials) {
    writeFileSync(join(settings.userDir, 'flows_cred.json'), JSON.stringify(settings.credentials));
  }
  const app = express();
  const server = createServer(app);
  RED.init(server, {
    userDir: settings.userDir,
    nodesDir: settings.nodesDir,
    flowFile: 'flows.json',
    httpAdminRoot: false as unknown as string,
    httpNodeRoot: '/',
    credentialSecret: false,
    editorTheme: { tours: false },
    mqttReconnectTime: 200,
    logging: { console: { level: 'warn', metrics: false, audit: false } },
  } as never);
  app.use('/', RED.httpNode);
  const started = new Promise<void>((resolve) => RED.events.once('flows:started', () => resolve()));
  await RED.start();
  await started;
  answerParent(measure(() => 0));
}

void start();
