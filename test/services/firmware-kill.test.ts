import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Access } from '../../lib/access/access.js';
import { openStore } from '../../lib/store/open.js';
import {
  type AgentFleet,
  type FleetMember,
  handedOn,
  startAgentFleet,
} from '../support/agent-fleet-process.js';
import { eventually, Gateway } from '../support/gateway.js';
import { cleanUp, temporaryFolder } from '../support/store.js';

const CONTROLLERS = 200;
/** Every so many controllers one cannot install. */
const FAILS_EVERY = 20;
const KILLS = 5;

interface Deployment {
  controller_id: string;
  state: string;
  errors: string[];
}
interface Rollout {
  state: string;
  counts: Record<string, number>;
}

describe('a rollout whose gateway and agents are killed again and again', function () {
  this.timeout(240_000);
  let gateway: Gateway;
  let token: string;
  let folder: string;
  let fleet: AgentFleet | undefined;

  before(async () => {
    folder = await temporaryFolder();
    gateway = await Gateway.create();
    await gateway.start();
    await gateway.command('user', 'add', 'ann', '--admin', '--password-stdin', { input: 'a long password' });
    token = ((await gateway.command('user', 'token', 'ann')) as { token: string }).token;
  });
  after(async () => {
    await fleet?.kill();
    await gateway?.remove();
    await cleanUp();
  });

  async function addMembers(): Promise<FleetMember[]> {
    const store = await openStore(`sqlite:${join(gateway.directory, 'fieldloom.db')}`);
    const access = await Access.open(store);
    const storeId = randomUUID();
    const members: FleetMember[] = [];
    for (let index = 0; index < CONTROLLERS; index += 1) {
      const controllerId = randomUUID();
      const login = await access.addClient({ role: 'controller', storeId, controllerId });
      members.push({ storeId, controllerId, ...login, fails: index % FAILS_EVERY === FAILS_EVERY - 1 });
    }
    access.close();
    await store.close();
    return members;
  }

  async function post<T>(path: string, body: string | Buffer, type: string): Promise<T> {
    const answer = await fetch(gateway.url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': type },
      body: body as never,
    });
    assert.equal(answer.status, 201, path);
    return (await answer.json()) as T;
  }

  it('ends with every controller in a true state, and no file handed on twice', async () => {
    const members = await addMembers();
    const image = Buffer.alloc(256 * 1024, 'fieldloom');
    const { id: imageId } = await post<{ id: string }>(
      '/firmware/images?version=1.0.1',
      image,
      'application/octet-stream',
    );
    const start = () => startAgentFleet({ folder, url: gateway.mqttUrl, members });
    fleet = await start();
    const { id } = await post<{ id: string }>(
      '/firmware/rollouts',
      JSON.stringify({
        image_id: imageId,
        targets: members.map(({ storeId, controllerId }) => ({
          store_id: storeId,
          controller_id: controllerId,
        })),
        stages: [
          { percent: 10, success_threshold: 0.8, error_threshold: 0.9 },
          { percent: 100, success_threshold: 0.8, error_threshold: 0.9 },
        ],
        max_in_progress: 20,
        ack_timeout_s: 2,
        start: true,
      }),
      'application/json',
    );
    const rollout = () => gateway.get<Rollout>(`/firmware/rollouts/${id}`);
    const ended = async () => {
      const { counts } = await rollout();
      return (counts['COMPLETED'] ?? 0) + (counts['FAILED'] ?? 0);
    };
    for (let kill = 0; kill < KILLS; kill += 1) {
      const share = CONTROLLERS / (KILLS + 1);
      const moment = Math.floor(share * (kill + 0.2 + Math.random() * 0.8));
      await eventually(async () => (await ended()) >= moment || undefined, `${moment} ends`, 60_000);
      await Promise.all([gateway.end('SIGKILL'), fleet.kill()]);
      await gateway.start();
      fleet = await start();
    }
    await eventually(async () => (await ended()) === CONTROLLERS || undefined, 'the last end', 60_000);

    const deployments = await gateway.list<Deployment>(`/firmware/rollouts/${id}/deployments`);
    const states = new Map(deployments.map((deployment) => [deployment.controller_id, deployment]));
    assert.equal(states.size, CONTROLLERS);
    const handed = handedOn(folder).map(({ controllerId }) => controllerId);
    assert.equal(new Set(handed).size, handed.length, 'a file is handed on once');
    const installed = members.filter(({ controllerId, fails }) => !fails && handed.includes(controllerId));
    for (const member of members) {
      const { state, errors } = states.get(member.controllerId) as Deployment;
      // One that lost its power just before the file was handed on runs the old version, and says so.
      const expected = installed.includes(member) ? 'COMPLETED' : 'FAILED';
      assert.equal(state, expected, `${member.controllerId}: ${errors}`);
    }
    const { counts, state } = await rollout();
    assert.deepEqual(counts, { COMPLETED: installed.length, FAILED: CONTROLLERS - installed.length });
    assert.equal(state, 'COMPLETED');
    assert.ok(installed.length > CONTROLLERS * 0.8, `${installed.length} installed`);
  });
});
