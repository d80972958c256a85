import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connectAsync } from 'mqtt';
import { eventually, type Gateway } from './gateway.js';
import { numberedTelemetry } from './kill-telemetry.js';
import { nothingAcknowledgedIsLost } from './kill-test.js';
import { serviceUrl } from './services.js';
import { controllers, figureOf, type Pair, pondDevices, startPair } from './several-gateways.js';

interface Execution {
  status: string;
  command: { command_id: string; status: string; attempts: number; history: { event: string }[] };
}

/** The tests of two gateways that share one broker out. @param name of the database at the URL in `variable` */
export function describeTwoGateways(name: string, variable: string): void {
  describe(`two gateways on one Mosquitto and one ${name}`, function () {
    this.timeout(300_000);
    let pair: Pair;

    beforeEach(async () => {
      pair = await startPair(serviceUrl(variable));
    });
    afterEach(async function () {
      if (this.currentTest?.state === 'failed') {
        console.log(`— a —\n${pair?.a.output}\n— b —\n${pair?.b.output}`);
      }
      await pair?.remove();
    });

    async function ask<T>(gateway: Gateway, method: string, path: string, body?: unknown, type?: string) {
      const answer = await fetch(gateway.url + path, {
        method,
        headers: {
          authorization: `Bearer ${await pair.tokenOf(gateway)}`,
          'content-type': type ?? 'application/json',
        },
        ...(body !== undefined && { body: (type === undefined ? JSON.stringify(body) : body) as never }),
      });
      const text = await answer.text();
      assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
      return JSON.parse(text) as T;
    }

    /** Fulfils when both take their part of the telemetry. */
    async function bothTake(): Promise<void> {
      const client = await connectAsync(pair.mqttUrl);
      await eventually(async () => {
        await client.publishAsync('company/9/machine/probe/telemetry', '{"battery":12}', { qos: 1 });
        const parts = await Promise.all(
          [pair.a, pair.b].map((each) => figureOf(each, 'fieldloom_solar_telemetry_total')),
        );
        return parts.every((part) => part > 0) || undefined;
      }, 'a part of the telemetry for each');
      await client.endAsync();
    }

    /** The live feed of each gateway shows the newest message, whoever took it. */
    async function showAllOf(mqttUrl: string, gateways: readonly Gateway[]): Promise<void> {
      const client = await connectAsync(mqttUrl);
      const say = (number: number) =>
        client.publishAsync('company/1/machine/L/telemetry', `{"extra":{"live":${number}}}`, { qos: 1 });
      await say(0);
      const feeds = await Promise.all(
        gateways.map(async (gateway) => {
          const url = `${gateway.url.replace('http', 'ws')}/realtime/L?company=1`;
          await eventually(
            async () => (await fetch(`${gateway.url}/companies/1/machines/L/status`)).ok || undefined,
            'a machine that is known',
          );
          const feed = { seen: '', socket: new WebSocket(url) };
          feed.socket.onmessage = ({ data }) => {
            feed.seen = `${feed.seen}${data}`;
          };
          return feed;
        }),
      );
      for (let number = 1; number <= 4; number += 1) {
        await say(number);
        for (const feed of feeds) {
          await eventually(
            async () => feed.seen.includes(`"live":${number}`) || undefined,
            `message ${number} in a live feed`,
          );
        }
      }
      for (const { socket } of feeds) socket.close();
      await client.endAsync();
    }

    const taken = (gateway: Gateway) => figureOf(gateway, 'fieldloom_solar_telemetry_total');

    it('share out the telemetry, and lose nothing of it while one is killed again and again', async () => {
      const { a, b, mqttUrl } = pair;
      await bothTake();
      await showAllOf(mqttUrl, [a, b]);
      const subject = numberedTelemetry({ list: (path) => b.list(path), tokenOf: async () => '' }, '1', 'K');
      const before = await taken(b);
      const killable = {
        mqttUrl,
        start: () => a.start(),
        end: (signal: NodeJS.Signals) => a.end(signal),
      };
      const total = 5_000;
      await nothingAcknowledgedIsLost(killable, {}, subject, { total, times: 3 });
      const part = (await taken(b)) - before;
      assert.ok(part > total / 10 && part < total, `${part} of ${total} by the one that lived`);
    });

    it('go on with the commands of one that is killed: nothing is sent but the same command again', async () => {
      const { a, b, mqttUrl } = pair;
      const ids = Array.from({ length: 20 }, (_, index) => `device-${index}`);
      const pondIds = await pair.addPonds(ids);
      const devices = await pondDevices(mqttUrl);
      devices.answering = false;
      const asked = await Promise.all(pondIds.map((pond) => feed(a, pond)));
      await eventually(
        async () => devices.seen.size === ids.length || undefined,
        'all commands at their devices',
      );
      await a.end('SIGKILL');
      devices.answering = true;
      await ended(b, pondIds, 'COMPLETED');
      assert.equal(devices.seen.size, asked.length, 'no other command was sent');
      for (const [index, pond] of pondIds.entries()) {
        const [execution] = await executions(b, pond);
        const { history, status } = (execution as Execution).command;
        assert.equal(status, 'COMPLETED', `pond ${index}`);
        assert.equal(history.filter(({ event }) => event === 'completed').length, 1);
        assert.equal(history.filter(({ event }) => event === 'anomaly').length, 0);
      }
      await devices.client.endAsync(true);
    });

    it('take over from one that stands still, which does no harm when it wakes', async () => {
      const { a, b, mqttUrl } = pair;
      const pondIds = await pair.addPonds(['still-1', 'still-2', 'still-3']);
      const devices = await pondDevices(mqttUrl);
      devices.answering = false;
      await Promise.all(pondIds.map((pond) => feed(a, pond)));
      await eventually(async () => devices.seen.size === pondIds.length || undefined, 'the commands');
      a.signal('SIGSTOP');
      devices.answering = true;
      await ended(b, pondIds, 'COMPLETED');
      const before = await Promise.all(pondIds.map((pond) => executions(b, pond)));
      a.signal('SIGCONT');
      await eventually(
        async () => a.output.includes('has taken over what this one drove') || undefined,
        'its word that it has lost its lease',
      );
      // It is a gateway as the other one again.
      const [pond] = pondIds as [number];
      await feed(a, pond);
      await ended(a, [pond], 'COMPLETED');
      const after = await Promise.all(pondIds.map((each) => executions(b, each)));
      assert.deepEqual(
        after.map((each) => each.at(-1)?.command),
        before.map((each) => each.at(-1)?.command),
        'the histories are what they were',
      );
      assert.equal(devices.seen.size, pondIds.length + 1);
      await devices.client.endAsync(true);
    });

    it('go on with the rollout of one that is killed, and each controller is updated by one deployment', async () => {
      const { a, b, mqttUrl } = pair;
      const fleet = await controllers(mqttUrl);
      const image = await eventually(
        () =>
          ask<{ id: string }>(
            ...([a, 'POST', '/firmware/images?version=1.0.1', Buffer.alloc(1000, 'x')] as const),
            'application/octet-stream',
          ),
        'an image',
      );
      const storeId = randomUUID();
      const targets = Array.from({ length: 60 }, () => ({ store_id: storeId, controller_id: randomUUID() }));
      const { id } = await ask<{ id: string }>(a, 'POST', '/firmware/rollouts', {
        ...{ image_id: image.id, targets, start: true, ack_timeout_s: 2, rate_per_minute: 600 },
        stages: [
          { percent: 30, success_threshold: 1, error_threshold: 0.5 },
          { percent: 100, success_threshold: 1, error_threshold: 0.5 },
        ],
      });
      await eventually(async () => fleet.updates.size >= 10 || undefined, 'ten updates');
      await a.end('SIGKILL');
      const rollout = await eventually(
        async () => {
          const found = await ask<{ state: string; counts: Record<string, number> }>(
            ...([b, 'GET', `/firmware/rollouts/${id}`] as const),
          );
          return found.state === 'COMPLETED' ? found : undefined;
        },
        'the end of the rollout',
        90_000,
      );
      assert.deepEqual(rollout.counts, { COMPLETED: targets.length });
      assert.equal(fleet.updates.size, targets.length);
      for (const [controller, deployments] of fleet.updates) {
        assert.equal(new Set(deployments).size, 1, `${controller} was updated by ${deployments}`);
      }
      await fleet.client.endAsync(true);
    });

    /** A gateway that has just started, or woken, may refuse it: then nothing is stored. */
    const feed = (gateway: Gateway, pond: number) =>
      eventually(
        () => ask(gateway, 'POST', `/automation/ponds/${pond}/control/feed/`, { amount: 10 }),
        'a command',
      );

    async function executions(gateway: Gateway, pond: number): Promise<Execution[]> {
      return (await ask<{ items: Execution[] }>(gateway, 'GET', `/automation/ponds/${pond}/executions/`))
        .items;
    }

    async function ended(gateway: Gateway, pondIds: readonly number[], status: string): Promise<void> {
      await eventually(
        async () => {
          const all = await Promise.all(pondIds.map((pond) => executions(gateway, pond)));
          return all.every((each) => each[0]?.status === status) || undefined;
        },
        `executions that are ${status}`,
        90_000,
      );
    }
  });
}
