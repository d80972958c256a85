import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../support/gateway.js';
import type { Held } from '../support/gateway-process.js';
import { freePort } from '../support/ports.js';

interface FlowNode {
  id: string;
  type: string;
  name?: string;
}

/** A whole deploy waits for the simulated machines' MQTT nodes to leave: seconds each. */
const DEPLOYS = { full: 6, nodes: 20 };
/** One more or less of a kind comes and goes by itself: a keep-alive of this test's own requests, a running timer. */
const PLAY = 2;
/** Work of the moment, nothing held open. */
const PASSING = ['FSReqCallback', 'FSReqPromise', 'Immediate', 'TickObject'];

describe('deploying the flows again and again', function () {
  this.timeout(180_000);
  let directory: string;
  let child: ChildProcess;
  let url: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fieldloom-deploy-'));
    const port = String(await freePort());
    url = `http://127.0.0.1:${port}`;
    child = fork(join(__dirname, '../support/gateway-process.js'), {
      env: {
        PATH: process.env['PATH'],
        PORT: port,
        MQTT_PORT: String(await freePort()),
        FIELDLOOM_DIR: directory,
        SIMULATE: '1',
      },
    });
    const [ready] = await once(child, 'message');
    assert.equal(ready, true);
  });
  after(async () => {
    child.send('stop');
    await once(child, 'exit');
    await rm(directory, { recursive: true });
  });

  async function held(): Promise<Held> {
    const answer = once(child, 'message');
    child.send('held');
    return (await answer)[0] as Held;
  }

  async function deploy(kind: 'full' | 'nodes', change: (node: FlowNode) => FlowNode) {
    const headers = { 'content-type': 'application/json', 'Node-RED-API-Version': 'v2' };
    const { flows, rev } = (await (await fetch(`${url}/flows`, { headers })).json()) as {
      flows: FlowNode[];
      rev: string;
    };
    const answer = await fetch(`${url}/flows`, {
      method: 'POST',
      headers: { ...headers, 'Node-RED-Deployment-Type': kind },
      body: JSON.stringify({ flows: flows.map(change), rev }),
    });
    assert.equal(answer.status, 200, await answer.clone().text());
    await eventually(
      async () => ((await fetch(`${url}/health`)).status === 200 ? true : undefined),
      'health after a deploy',
    );
  }

  /** Kinds of resources of which more are open than before. */
  const grown = (before: Held, after: Held) =>
    Object.entries(after.resources).filter(
      ([kind, count]) => !PASSING.includes(kind) && count > (before.resources[kind] ?? 0) + PLAY,
    );

  for (const [kind, change] of [
    ['full', (node: FlowNode) => node],
    [
      'nodes',
      (node: FlowNode) =>
        node.type.startsWith('fieldloom-') ? { ...node, name: node.name === 'a' ? 'b' : 'a' } : node,
    ],
  ] as const) {
    it(`leaks no listener, route, timer or connection in ${DEPLOYS[kind]} deploys (${kind})`, async () => {
      for (let warmUp = 0; warmUp < 3; warmUp += 1) await deploy(kind, change);
      const before = await held();
      for (let count = 0; count < DEPLOYS[kind]; count += 1) await deploy(kind, change);
      // What the last deploy closed takes a moment to go.
      let left: unknown;
      await eventually(async () => {
        left = grown(before, await held());
        return (left as unknown[]).length === 0 || undefined;
      }, 'as many open resources as before').catch((error: Error) => {
        assert.fail(`${error.message}: ${JSON.stringify(left)} where there were ${JSON.stringify(before)}`);
      });
      const { resources: _before, ...countsBefore } = before;
      const { resources: _after, ...countsAfter } = await held();
      assert.deepEqual(countsAfter, countsBefore);
    });
  }
});
