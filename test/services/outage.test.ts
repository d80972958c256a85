import assert from 'node:assert/strict';
import type { IClientOptions } from 'mqtt';
import { type DatabaseServer, startMariaDb, startPostgres } from '../support/database-server.js';
import { eventually, Gateway } from '../support/gateway.js';
import { numberedTelemetry } from '../support/kill-telemetry.js';
import { nothingAcknowledgedIsLost } from '../support/kill-test.js';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.js';
import { type NodeStatus, watchNodeStatus } from '../support/node-status.js';
import { type SmallDisk, smallDisk } from '../support/small-disk.js';

const OUTAGE_MS = 60_000;
/** The gateway is back by itself so soon after what it needs is. */
const BACK_MS = 10_000;
const FULL_MS = 10_000;
const TOTAL = 5_000;
/** The node of the solar flow that keeps telemetry. */
const NODE = 'solar-telemetry';

/** A gateway with whatever was started for it. */
class Plant {
  readonly #undo: (() => Promise<unknown>)[] = [];
  #gateway: Gateway | undefined;
  #status: NodeStatus | undefined;

  get gateway(): Gateway {
    return this.#gateway as Gateway;
  }

  later(step: () => Promise<unknown>): void {
    this.#undo.push(step);
  }

  async start(env: Record<string, string>): Promise<void> {
    const gateway = await Gateway.create(env);
    this.#gateway = gateway;
    this.later(() => gateway.remove());
    await gateway.start();
    this.#status = await watchNodeStatus(gateway.url);
    await eventually(async () => this.says(/online/) || undefined, 'the node at work');
  }

  /** What stands below the node. */
  get status(): string {
    return this.#status?.of(NODE) ?? '';
  }

  says(text: RegExp): boolean {
    return text.test(this.status);
  }

  login(): Promise<IClientOptions> {
    const words = ['access', 'add', '--role', 'machine', '--company', '1', '--machine', 'K'];
    return this.gateway.command(...words) as Promise<IClientOptions>;
  }

  async health(): Promise<{ status: number; body: Record<string, string> }> {
    const answer = await fetch(`${this.gateway.url}/health`);
    return { status: answer.status, body: (await answer.json()) as Record<string, string> };
  }

  /** Telemetry that became rows. */
  async kept(): Promise<number> {
    const text = await (await fetch(`${this.gateway.url}/metrics`)).text();
    return Number(/^fieldloom_solar_telemetry_total (\d+)$/m.exec(text)?.[1]);
  }

  async remove(): Promise<void> {
    this.#status?.close();
    for (const step of this.#undo.splice(0).reverse()) await step();
  }
}

/**
 * The outage itself: the gateway says so, at `/health` in this part and below the node, for as long as it lasts; and
 * is back soon afterwards.
 */
async function outage(
  plant: Plant,
  { down, up }: { down(): Promise<void>; up(): Promise<void> },
  said: { part: 'store' | 'broker'; text: RegExp; ms: number },
): Promise<void> {
  await down();
  const begun = Date.now();
  await eventually(
    async () => ((await plant.health()).status === 503 ? true : undefined),
    'the word that something is away',
    35_000,
  );
  await eventually(
    async () => plant.says(said.text) || undefined,
    `${said.text} below the node instead of ${plant.status}`,
  );
  const wrong: unknown[] = [];
  await eventually(
    async () => {
      const answer = await plant.health();
      const well = said.part === 'store' ? 'open' : 'connected';
      if (answer.status !== 503 || answer.body[said.part] === well) wrong.push(answer);
      return Date.now() - begun >= said.ms || undefined;
    },
    'the end of the outage',
    said.ms + 40_000,
  );
  assert.deepEqual(wrong, []);
  const rows = await plant.kept();
  await up();
  await eventually(
    async () =>
      ((await plant.health()).status === 200 && (await plant.kept()) > rows && plant.says(/online/)) ||
      undefined,
    'the way back by itself',
    BACK_MS,
  );
}

async function throughOutage(
  plant: Plant,
  login: IClientOptions,
  total: number,
  disturb: () => Promise<void>,
  identified = false,
): Promise<void> {
  const { gateway } = plant;
  await nothingAcknowledgedIsLost(gateway, login, numberedTelemetry(gateway, '1', 'K', identified), {
    ...{ total, times: 1, disturb },
  });
}

const databaseAway = (startServer: typeof startMariaDb) => async (plant: Plant) => {
  const server = await startServer();
  plant.later(() => server.remove());
  await plant.start({ DATABASE_URL: server.url });
  const said = { part: 'store', text: /store unavailable/, ms: OUTAGE_MS } as const;
  await throughOutage(plant, await plant.login(), TOTAL, () => outage(plant, server, said));
};

async function brokerAway(plant: Plant): Promise<void> {
  const mosquitto = (await startMosquitto()) as Mosquitto;
  assert.ok(mosquitto, 'Mosquitto is not installed');
  plant.later(() => mosquitto.stop());
  await plant.start({ MQTT_URL: mosquitto.url });
  const said = { part: 'broker', text: /connecting/, ms: OUTAGE_MS } as const;
  await throughOutage(plant, {}, TOTAL, () => outage(plant, mosquitto, said), true);
}

async function diskFull(plant: Plant, disk: SmallDisk): Promise<void> {
  const steps = { down: () => disk.fill(), up: () => disk.free() };
  const said = { part: 'store', text: /store unavailable/, ms: FULL_MS } as const;
  await throughOutage(plant, await plant.login(), 10 * TOTAL, () => outage(plant, steps, said));
}

describe('telemetry of solar machines through an outage', function () {
  this.timeout(300_000);
  const plants: Plant[] = [];

  const plant = () => {
    const made = new Plant();
    plants.push(made);
    return made;
  };
  after(async () => {
    for (const each of plants) await each.remove();
  });

  const AWAY: Record<string, (plant: Plant) => Promise<void>> = {
    MariaDB: databaseAway(startMariaDb),
    PostgreSQL: databaseAway(startPostgres),
    'a broker': brokerAway,
  };
  const runs = new Map<string, Promise<void>>();

  // All at once, and beside the tests that come first: they wait most of the time.
  before(() => {
    for (const [name, run] of Object.entries(AWAY)) {
      const own = plant();
      const ended = run(own).finally(() => own.remove());
      ended.catch(() => {}); // its test tells
      runs.set(name, ended);
    }
  });

  it('of a full disk is all there, once, in the embedded database', async () => {
    const own = plant();
    const disk = await smallDisk(160);
    own.later(() => disk.remove());
    await own.start({ FIELDLOOM_DIR: disk.path });
    await diskFull(own, disk);
    await own.remove();
  });

  for (const [name, startServer, megabytes] of [
    ['MariaDB', startMariaDb, 300],
    ['PostgreSQL', startPostgres, 160],
  ] as const) {
    it(`of a full disk is all there, once, in ${name}`, async () => {
      const own = plant();
      const disk = await smallDisk(megabytes);
      own.later(() => disk.remove());
      const server: DatabaseServer = await startServer(disk.path);
      own.later(() => server.remove());
      await own.start({ DATABASE_URL: server.url });
      await diskFull(own, disk);
      await own.remove();
    });
  }

  for (const name of Object.keys(AWAY)) {
    it(`of a minute of ${name} is all there, once`, () => runs.get(name));
  }
});
