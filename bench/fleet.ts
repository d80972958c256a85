import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Access } from '../lib/access/access.js';
import { openStore } from '../lib/store/open.js';
import { Gateway } from '../test/support/gateway.js';
import type { FleetAnswer } from './harness/fleet-process.js';
import { Child } from './harness/processes.js';
import { printTable } from './harness/table.js';

const MACHINES = 4;
const INTERVAL_MS = 30_000;
const CONTROLLERS_A_STORE = 50;

/** A value of the gateway's own /metrics. */
export async function metric(gateway: Gateway, name: string): Promise<number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  const line = new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+-]+)$`, 'm').exec(text);
  if (line === null) throw new Error(`/metrics has no ${name}`);
  return Number(line[1]);
}

async function makeLogins(gateway: Gateway, controllers: number): Promise<string> {
  const store = await openStore(`sqlite:${join(gateway.directory, 'fieldloom.db')}`);
  const access = await Access.open(store);
  const logins = [];
  let storeId = randomUUID();
  for (let index = 0; index < controllers; index += 1) {
    if (index % CONTROLLERS_A_STORE === 0) storeId = randomUUID();
    const controllerId = randomUUID();
    logins.push({
      storeId,
      controllerId,
      ...(await access.addClient({ role: 'controller', storeId, controllerId })),
    });
  }
  await store.close();
  const file = join(gateway.directory, 'bench-logins.json');
  await writeFile(file, JSON.stringify(logins), { mode: 0o600 });
  return file;
}

/** A gateway with its dashboard and embedded broker, and a fleet that reports to it as a real one does. */
export async function benchFleet(options: { controllers: number; minutes: number }): Promise<void> {
  const gateway = await Gateway.create();
  try {
    const loginsFile = await makeLogins(gateway, options.controllers);
    await gateway.start();
    const memory = () => metric(gateway, 'process_resident_memory_bytes');
    const alone = await memory();
    const fleet = await Child.start('fleet-process.js', {
      url: gateway.mqttUrl,
      loginsFile,
      machines: MACHINES,
      intervalMs: INTERVAL_MS,
    });
    await delay(INTERVAL_MS); // each has reported once
    await fleet.ask<FleetAnswer>('figures');
    const rows = [];
    let cpu = await metric(gateway, 'process_cpu_seconds_total');
    let at = performance.now();
    for (let minute = 1; minute <= options.minutes; minute += 1) {
      await delay(60_000);
      const answer = await fleet.ask<FleetAnswer>('figures');
      const used = await metric(gateway, 'process_cpu_seconds_total');
      const now = performance.now();
      rows.push([
        String(minute),
        String(answer.connected),
        String(answer.sent),
        String(answer.acknowledged),
        answer.acknowledgedMs.toFixed(1),
        (((used - cpu) / ((now - at) / 1000)) * 100).toFixed(1),
        ((await memory()) / 2 ** 20).toFixed(0),
      ]);
      cpu = used;
      at = now;
    }
    console.log(`${options.controllers} controllers, ${MACHINES} machines each, a message every 30 s\n`);
    printTable(
      ['minute', 'connected', 'sent', 'acknowledged', 'PUBACK p99 ms', 'CPU % of a core', 'memory MiB'],
      rows,
    );
    const each = ((await memory()) - alone) / 1024 / options.controllers;
    console.log(
      `\n${each.toFixed(1)} KiB of memory for each connection, with all that is kept of its controller`,
    );
    const { acknowledged } = await fleet.ask<FleetAnswer>('figures');
    const taken = await metric(gateway, 'fieldloom_laundry_messages_total');
    console.log(`${acknowledged} messages acknowledged, ${taken} of them committed`);
    await fleet.stop();
    if (taken < acknowledged) throw new Error('acknowledged messages are not there');
  } finally {
    await gateway.remove();
  }
}
