import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  composeFlows,
  type FlowNode,
  fileReference,
  installFlows,
  readFlowFiles,
  withoutSimulation,
} from '../../bin/compose.js';
import { takeApart } from '../../bin/flows-save.js';
import { sharedLogin, simulatedClients } from '../../bin/simulated-logins.js';

const FLOWS = resolve('flows');
const options = { simulate: true, credentialSecret: 'only of this test' };

describe('flows of the gateway', () => {
  let directory: string;
  const flows = async () => JSON.parse(await readFile(join(directory, 'flows.json'), 'utf8')) as FlowNode[];
  const simulation = async () => (await flows()).find(({ id }) => id === 'simulators-laundry');

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fieldloom-flows-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('are composed with the code of their pages and functions in place', async () => {
    const nodes = await composeFlows(FLOWS);
    assert.ok(!nodes.some((node) => Object.values(node).some((value) => fileReference(value) !== undefined)));
    const page = nodes.find(({ id }) => id === 'laundry-page');
    assert.equal(page?.['format'], await readFile(join(FLOWS, 'pages/laundry.vue'), 'utf8'));
  });

  it('can be imported without the simulations, whole and without credentials', async () => {
    const nodes = withoutSimulation(await composeFlows(FLOWS));
    const ids = new Set(nodes.map(({ id }) => id));
    assert.ok(
      ['laundry-page', 'ponds-page', 'firmware-page', 'gateway-connection'].every((id) => ids.has(id)),
    );
    assert.doesNotMatch(JSON.stringify(nodes), /SIMULATOR|"credentials"/);
    for (const { links = [], z } of nodes as { links?: string[]; z?: string }[]) {
      assert.ok([...links, z ?? 'laundry'].every((id) => ids.has(id)));
    }
    assert.deepEqual(nodes, JSON.parse(await readFile('examples/complete-system.json', 'utf8')), 'as built');
  });

  it('name only nodes that are there', async () => {
    const nodes = await composeFlows(FLOWS);
    const ids = new Set(nodes.map(({ id }) => id));
    for (const node of nodes) {
      const named = ['z', 'g', 'connection', 'store', 'access', 'group', 'files', 'page'].map(
        (name) => node[name],
      );
      const wired = (node['wires'] as string[][] | undefined)?.flat() ?? [];
      const linked = (node['links'] as string[] | undefined) ?? [];
      for (const id of [...named, ...wired, ...linked]) {
        if (typeof id === 'string' && id !== '') assert.ok(ids.has(id), `${node.id} names ${id}`);
      }
    }
  });

  it('give each simulated machine one login of its own, under the names that its connection takes it by', async () => {
    const nodes = await composeFlows(FLOWS);
    const clients = simulatedClients(nodes);
    const of = (role: string) => clients.filter(({ identity }) => identity.role === role).length;
    assert.deepEqual([of('controller'), of('device'), of('machine')], [15, 2, 20]);
    assert.equal(new Set(clients.map(({ identity }) => JSON.stringify(identity))).size, clients.length);
    const given = Object.keys(sharedLogin(clients, { username: 'x', password: 'x' }));
    const wanted = nodes
      .filter(({ id }) => id.startsWith('simulator-'))
      .flatMap(({ credentials }) => Object.values((credentials as Record<string, string> | undefined) ?? {}));
    // Who takes the place of a machine has its login.
    assert.deepEqual(given.map((name) => `\${${name}}`).sort(), [...new Set(wanted)].sort());
  });

  it('lie beside each other on their tabs: no group covers another, and none leaves a node of its own out', async () => {
    const nodes = await composeFlows(FLOWS);
    type Box = FlowNode & { x: number; y: number; w: number; h: number; nodes: string[] };
    const groups = nodes.filter(({ type }) => type === 'group') as Box[];
    for (const group of groups) {
      for (const id of group.nodes) {
        const { x, y } = nodes.find((node) => node.id === id) as Box;
        const inside = x > group.x && x < group.x + group.w && y > group.y && y < group.y + group.h;
        assert.ok(inside, `${id} is outside ${group.id}`);
      }
      for (const other of groups) {
        if (other === group || other['z'] !== group['z']) continue;
        const apart =
          other.x >= group.x + group.w ||
          other.x + other.w <= group.x ||
          other.y >= group.y + group.h ||
          other.y + other.h <= group.y;
        assert.ok(apart, `${group.id} covers ${other.id}`);
      }
    }
  });

  it('say on each tab what it is for, and keep every node in a group that says what it does', async () => {
    const nodes = await composeFlows(FLOWS);
    for (const tab of nodes.filter(({ type }) => type === 'tab')) {
      assert.ok(String(tab['info']).length > 40, `${tab.id} says what it is for`);
    }
    for (const node of nodes) {
      if (node['wires'] === undefined || node.type === 'comment') continue;
      const group = nodes.find(({ id }) => id === node['g']);
      assert.ok(group?.['name'], `${node.id} is in a group with a name`);
    }
  });

  it('have no wires that cross, but for those of one node', async () => {
    type Placed = FlowNode & { x: number; y: number };
    const nodes = await composeFlows(FLOWS);
    const wires = nodes.flatMap((node) => {
      const outputs = (node['wires'] as string[][] | undefined) ?? [];
      return outputs.flatMap((targets, output) =>
        targets.map((target) => {
          const from = node as Placed;
          const to = nodes.find(({ id }) => id === target) as Placed;
          const y = from.y + (output - (outputs.length - 1) / 2) * 13;
          return { tab: node['z'], ends: [node.id, target], from: { x: from.x, y }, to };
        }),
      );
    });
    type Point = { x: number; y: number };
    const side = (a: Point, b: Point, c: Point) => (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
    for (const one of wires) {
      for (const other of wires) {
        if (one.tab !== other.tab || one.ends.some((id) => other.ends.includes(id))) continue;
        const crosses =
          side(one.from, one.to, other.from) * side(one.from, one.to, other.to) < 0 &&
          side(other.from, other.to, one.from) * side(other.from, other.to, one.to) < 0;
        assert.ok(!crosses, `${one.ends.join(' to ')} crosses ${other.ends.join(' to ')}`);
      }
    }
  });

  it('hold no code and no secret in JSON', async () => {
    for (const node of [...(await readFlowFiles(FLOWS)).values()].flat()) {
      if (node.type === 'function') assert.ok(fileReference(node['func']), `code of ${node.id}`);
      if (node.type === 'ui-template') assert.ok(fileReference(node['format']), `code of ${node.id}`);
      for (const value of Object.values((node['credentials'] as object | undefined) ?? {})) {
        assert.match(value, /^\$\{\w+\}$/);
      }
    }
  });

  it('are written at the first start, with credentials that only their owner can read', async () => {
    assert.equal(await installFlows(FLOWS, directory, options), 'composed');
    assert.ok(!(await flows()).some((node) => 'credentials' in node));
    const file = join(directory, 'flows_cred.json');
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.deepEqual(Object.keys(JSON.parse(await readFile(file, 'utf8'))), ['$']);
  });

  it('follow SIMULATE from start to start', async () => {
    await installFlows(FLOWS, directory, options);
    assert.equal((await simulation())?.['disabled'], false);
    assert.equal(await installFlows(FLOWS, directory, { ...options, simulate: false }), 'composed');
    assert.equal((await simulation())?.['disabled'], true);
    assert.equal(await installFlows(FLOWS, directory, options), 'composed');
    assert.equal((await simulation())?.['disabled'], false);
  });

  it('stay as they were edited in the editor, but for the simulation', async () => {
    await installFlows(FLOWS, directory, options);
    const mine = { id: 'mine', type: 'comment', z: 'laundry', name: 'mine', wires: [] };
    await writeFile(join(directory, 'flows.json'), JSON.stringify([...(await flows()), mine]));
    assert.equal(await installFlows(FLOWS, directory, { ...options, simulate: false }), 'kept');
    assert.ok((await flows()).some(({ id }) => id === 'mine'));
    assert.equal((await simulation())?.['disabled'], true);
  });

  it('come apart into the files they were composed of', async () => {
    await installFlows(FLOWS, directory, { ...options, simulate: false });
    const before = await readFlowFiles(FLOWS);
    const { flows: apart, texts } = takeApart(await flows(), before);
    assert.deepEqual(apart, before);
    for (const [file, text] of texts) assert.equal(text, await readFile(join(FLOWS, file), 'utf8'));
  });

  it('put a new tab and a new page into files named after them', async () => {
    const { flows: apart, texts } = takeApart(
      [
        { id: 't', type: 'tab', label: 'My Shop!' },
        { id: 'p', type: 'ui-template', z: 't', name: 'My page', format: '<template/>' },
        { id: 'c', type: 'ui-group', name: 'new' },
      ],
      new Map(),
    );
    assert.deepEqual([...apart.keys()], ['my-shop', 'shared']);
    assert.equal(apart.get('my-shop')?.[1]?.['format'], 'file:pages/my-page.vue');
    assert.equal(texts.get('pages/my-page.vue'), '<template/>');
  });
});
