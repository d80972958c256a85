import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, Gateway } from '../support/gateway.js';

const STORE = '0b7e9a40-52c1-4d83-9c1e-6f0a7d1e4a03';

interface Image {
  id: string;
  version: string;
  file_size: number;
}

describe('the simulated firmware controllers', function () {
  this.timeout(120_000);
  let gateway: Gateway;

  const images = async () => (await gateway.get<{ items: Image[] }>('/firmware/images')).items;
  const rollouts = async () =>
    (await gateway.get<{ items: { id: string; state: string; stage: number }[] }>('/firmware/rollouts'))
      .items;

  beforeEach(async () => {
    gateway = await Gateway.create({ SIMULATE: '1' });
    await gateway.start();
  });
  afterEach(() => gateway.remove());

  it('are twelve, can be chosen, and get a first rollout whose canary completes', async () => {
    await eventually(async () => {
      const { controllers } = await gateway.get<{ controllers: { online: boolean }[] }>(
        `/stores/${STORE}/machines`,
      );
      return (controllers.length === 12 && controllers.every(({ online }) => online)) || undefined;
    }, 'twelve controllers');
    const [image] = await images();
    assert.deepEqual([image?.version, image?.file_size], ['1.1.0', 256 * 1024]);
    await eventually(async () => (await rollouts())[0]?.stage === 1 || undefined, 'the second stage', 60_000);
  });

  it('may be updated by the user demo, who sees the simulated shops and no other', async () => {
    const password = (await readFile(join(gateway.directory, 'demo-password'), 'utf8')).trim();
    const login = await fetch(`${gateway.url}/api/token/`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'demo', password }),
    });
    const { access } = (await login.json()) as { access: string };
    const { id } = await eventually(async () => (await rollouts())[0], 'the first rollout');
    const paused = await fetch(`${gateway.url}/firmware/rollouts/${id}/pause`, {
      method: 'POST',
      headers: { authorization: `Bearer ${access}` },
    });
    assert.equal(paused.status, 200);
    const upload = await fetch(`${gateway.url}/firmware/images?version=2`, {
      method: 'POST',
      headers: { authorization: `Bearer ${access}` },
      body: 'x',
    });
    assert.equal(upload.status, 403);
  });

  it('have one image and one first rollout, however often the gateway starts; without simulation the image goes', async () => {
    const [before] = await images();
    await eventually(async () => (await rollouts())[0], 'the first rollout');
    assert.equal(await gateway.end('SIGTERM'), 0);
    await gateway.start();
    assert.deepEqual(
      (await images()).map(({ id }) => id),
      [before?.id],
    );
    assert.equal((await rollouts()).length, 1);
    assert.equal(await gateway.end('SIGTERM'), 0);
    gateway.env['SIMULATE'] = '0';
    await gateway.start();
    assert.deepEqual(await images(), []);
    assert.deepEqual(await gateway.command('access', 'list'), []);
  });
});
