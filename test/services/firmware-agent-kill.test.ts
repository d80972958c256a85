import assert from 'node:assert/strict';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type AgentProcess, handedOn, startAgentProcess } from '../support/agent-process.js';
import { deployment, updateMessage } from '../support/firmware-agent.js';
import { eventually } from '../support/gateway.js';
import { cleanUp, later, temporaryFolder } from '../support/store.js';

const SIZE = 2 * 1024 * 1024;
const PIECE = 32 * 1024;
const content = randomBytes(SIZE);

describe('an agent that is killed again and again', function () {
  this.timeout(240_000);
  let served = 0;
  let url: string;

  beforeEach(async () => {
    served = 0;
    // Slow enough to be killed in the middle, and some answers break off by themselves.
    const server = createServer(async ({ headers, url: path }, response) => {
      let position = Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
      const part = position > 0 && headers['if-range'] === `"${path}"`;
      if (!part) position = 0;
      response.writeHead(part ? 206 : 200, {
        ETag: `"${path}"`,
        'Content-Length': SIZE - position,
        ...(part && { 'Content-Range': `bytes ${position}-${SIZE - 1}/${SIZE}` }),
      });
      while (position < SIZE && !response.destroyed) {
        response.write(content.subarray(position, position + PIECE));
        position += PIECE;
        served += PIECE;
        await delay(2);
        if (randomInt(200) === 0) response.destroy();
      }
      response.end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    later(async () => {
      server.close();
      server.closeAllConnections();
    });
  });
  afterEach(cleanUp);

  it('goes on with its download, hands each file on whole and at most once, and reports an end', async () => {
    const folder = await temporaryFolder();
    let agent: AgentProcess | undefined;
    later(async () => agent?.kill());
    let kills = 0;
    let running = '1.0.0';
    for (let number = 1; number <= 3; number += 1) {
      const deploymentId = deployment(number);
      const version = `1.0.${number}`;
      const command = updateMessage(deploymentId, {
        firmwareVersion: version,
        fileUrl: `${url}/${number}`,
        fileSize: SIZE,
        checksum: createHash('md5').update(content).digest('hex'),
        sha256: createHash('sha256').update(content).digest('hex'),
      });
      const wasHandedOn = () => handedOn(folder).some((one) => one.deploymentId === deploymentId);
      for (let life = 0; life < 5; life += 1) {
        agent = await startAgentProcess(folder);
        // Until it is acknowledged the broker brings it again.
        await agent.ask({ handle: command.toString('base64') });
        await delay(randomInt(10, 150));
        await agent.kill();
        kills += 1;
      }
      agent = await startAgentProcess(folder);
      const last = agent;
      // What a kill has cut off is not begun again, be it a moment before the file was handed on: the version that
      // runs tells how it went.
      await last.ask({ installed: wasHandedOn() ? version : running });
      await last.ask({ handle: command.toString('base64') });
      await eventually(
        async () => (last.said.some((type) => /_(completed|failed)$/.test(type)) ? true : undefined),
        `the end of ${number}, of which was said ${last.said}`,
        60_000,
      );
      const end = last.said.at(-1);
      assert.equal(end, wasHandedOn() ? 'update_firmware_completed' : 'update_firmware_failed');
      if (wasHandedOn()) running = version;
      await last.kill();
    }
    const all = handedOn(folder).map(({ deploymentId }) => deploymentId);
    const md5 = createHash('md5').update(content).digest('hex');
    for (const one of handedOn(folder)) assert.equal(one.md5, md5, 'handed on whole');
    assert.deepEqual(all, [...new Set(all)], 'handed on twice');
    assert.ok(all.length > 0, 'handed on');
    assert.ok(kills >= 15);
    assert.deepEqual(await readdir(join(folder, 'files')), [], 'files of ended deployments');
    // What had come was not asked for again: without resuming each life would begin anew.
    assert.ok(served < 3 * SIZE * 2, `${served / SIZE} times the size of the image was sent`);
  });
});
