import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { connectAsync } from 'mqtt';
import type { CommandRecord } from '../../lib/command/ports.js';
import { commandStore } from '../../lib/store/command.js';
import { newId } from '../../lib/store/ids.js';
import { kill, startCommandProcess } from '../support/command-process.js';
import { eventually } from '../support/gateway.js';
import { startBroker, testAuthority, testStore } from '../support/mqtt.js';
import { cleanUp, later, opened, temporaryUrl } from '../support/store.js';

const DEVICES = 5;
const KILLS = 6;
const BATCH = 60;

describe('a gateway that is killed again and again while it sends commands', () => {
  afterEach(cleanUp);

  it('loses none that was stored, publishes none more than four times, and lets every device act once', async () => {
    const sessions = await testStore();
    later(() => sessions.close());
    const may = { publish: ['devices/#'], subscribe: ['devices/+/ack', 'devices/+/commands'] };
    const broker = await startBroker(sessions.store, {
      authority: testAuthority({ gateway: { password: 'g', ...may }, pumps: { password: 'p', ...may } }),
    });
    later(() => broker.close());

    const acted = new Map<string, number>();
    const received = new Map<string, number>();
    const pumps = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, {
      clientId: 'pumps',
      username: 'pumps',
      password: 'p',
    });
    later(() => pumps.endAsync(true));
    pumps.on('message', (topic, payload) => {
      const { command_id } = JSON.parse(payload.toString()) as { command_id: string };
      received.set(command_id, (received.get(command_id) ?? 0) + 1);
      // The first message of every fourth is lost on its way.
      if (received.get(command_id) === 1 && received.size % 4 === 0) return;
      if (!acted.has(command_id)) acted.set(command_id, 1);
      const said = JSON.stringify({ command_id, success: true });
      pumps.publish(topic.replace(/commands$/, 'ack'), said, { qos: 1 });
    });
    await pumps.subscribeAsync('devices/+/commands', { qos: 2 });

    const url = await temporaryUrl();
    const start = (ids: string[]) =>
      startCommandProcess({
        store: url,
        broker: `mqtt://127.0.0.1:${broker.port}`,
        username: 'gateway',
        password: 'g',
        devices: DEVICES,
        ids,
        everyMs: 5,
      });
    const told = new Set<string>();
    for (let round = 0; round < KILLS; round += 1) {
      const { child, stored } = start(Array.from({ length: BATCH }, newId));
      const enough = randomInt(1, BATCH);
      await eventually(async () => (stored.size >= enough ? true : undefined), 'commands stored');
      await kill(child);
      for (const id of stored) told.add(id);
    }

    const { child } = start([]);
    later(() => kill(child));
    const commands = commandStore(await opened(url));
    const ended = await eventually(async () => {
      if ((await commands.loadOpen('ponds')).length > 0) return undefined;
      return Promise.all([...told].map((id) => commands.load(id)));
    }, 'the end of all commands');
    assert.ok(told.size >= KILLS);
    for (const [index, id] of [...told].entries()) {
      const command = ended[index] as CommandRecord;
      assert.equal(command.status, 'COMPLETED', JSON.stringify(command));
      assert.ok(command.attempts <= 4);
      assert.ok((received.get(id) ?? 0) <= command.attempts, `${received.get(id)} of ${command.attempts}`);
      assert.equal(acted.get(id), 1);
    }
  }).timeout(120_000);
});
