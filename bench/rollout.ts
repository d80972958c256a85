import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { IMAGE } from '../test/support/firmware.js';
import { eventually } from '../test/support/gateway.js';
import { startMosquitto } from '../test/support/mosquitto.js';
import { RolloutGateway } from '../test/support/rollout-gateway.js';
import { Child } from './harness/processes.js';
import { printTable } from './harness/table.js';

const CONNECTIONS = 4;
const CONTROLLERS_A_STORE = 50;
/** An update, its acknowledgement, its end. */
const MESSAGES_A_CONTROLLER = 3;

/** Peak resident memory of a process, MiB. */
function peakMemory(pid: number | undefined): number {
  const kib = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) / 1024;
}

interface Item {
  state: string;
  history: { to: string }[];
}

/** How many deployments are in which state, as the last line of each one's history says. */
async function countHistory(gateway: RolloutGateway, rolloutId: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  let cursor: string | null = null;
  do {
    const query: string = `limit=1000${cursor === null ? '' : `&cursor=${cursor}`}`;
    const { body } = await gateway.ask('GET', `/firmware/rollouts/${rolloutId}/deployments?${query}`);
    for (const { history } of body.items as Item[]) {
      const state = history.at(-1)?.to ?? 'none';
      counts[state] = (counts[state] ?? 0) + 1;
    }
    cursor = body.next_cursor;
  } while (cursor !== null);
  return counts;
}

/** One staged rollout to its end in a gateway of its own, and a bare publisher of as many messages before it. */
async function measure(name: string, controllers: number, broker?: string): Promise<string[][]> {
  const gateway = await RolloutGateway.create({
    services: CONNECTIONS,
    ...(broker !== undefined && { broker }),
  });
  try {
    await gateway.start();
    const storeIds = Array.from({ length: Math.ceil(controllers / CONTROLLERS_A_STORE) }, () => randomUUID());
    const targets = Array.from({ length: controllers }, (_, index) => ({
      store_id: storeIds[Math.floor(index / CONTROLLERS_A_STORE)],
      controller_id: randomUUID(),
    }));
    const messages = controllers * MESSAGES_A_CONTROLLER;
    const fleet = await Child.start('rollout-fleet-process.js', {
      ...{ url: gateway.mqttUrl, logins: gateway.services, storeIds, bare: messages },
    });
    const bare = await fleet.ask<{ ms: number }>('bare');
    const stages = [1, 10, 50, 100].map((percent) => ({
      percent,
      success_threshold: 1,
      error_threshold: 0.01,
    }));
    const body = { image_id: IMAGE.imageId, targets, stages, start: true };
    const made = await gateway.ask('POST', '/firmware/rollouts', { as: 'ann', body });
    const done = await eventually(
      async () => {
        const answer = await gateway.ask('GET', `/firmware/rollouts/${made.body.id}`);
        return answer.body.ended_at === null ? undefined : answer.body;
      },
      'the end of the rollout',
      600_000,
    );
    const ms = Date.parse(done.ended_at) - Date.parse(done.started_at);
    const memory = peakMemory(gateway.pid).toFixed(0);
    const history = JSON.stringify(await countHistory(gateway, made.body.id));
    const counts = JSON.stringify(done.counts);
    console.log(`${name}: ${done.state}, counts ${counts}, history ${history}`);
    if (counts !== history) throw new Error('counts are not the history');
    await fleet.stop();
    const aSecond = (time: number) => String(Math.round((messages / time) * 1000));
    return [
      [`${name}: bare publisher`, (bare.ms / 1000).toFixed(1), aSecond(bare.ms), '1.00', ''],
      [`${name}: rollout`, (ms / 1000).toFixed(1), aSecond(ms), (bare.ms / ms).toFixed(2), memory],
    ];
  } finally {
    await gateway.remove();
  }
}

/** A staged rollout on the embedded broker, and on Mosquitto where that is installed. */
export async function benchRollout({ controllers }: { controllers: number }): Promise<void> {
  const rows = await measure('embedded', controllers);
  const mosquitto = await startMosquitto();
  if (mosquitto === undefined)
    console.log('Mosquitto is not installed: only the embedded broker is measured.');
  else {
    try {
      rows.push(...(await measure('Mosquitto', controllers, mosquitto.url)));
    } finally {
      await mosquitto.stop();
    }
  }
  console.log(`${controllers} controllers, four stages`);
  printTable(['', 's', 'messages a second', 'of the bare publisher', 'peak memory MiB'], rows);
}
