import { createHash } from 'node:crypto';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { addCredentials, type Credentials } from './credentials.js';

/** One entry of a Node-RED flow file. */
export interface FlowNode {
  id: string;
  type: string;
  [property: string]: unknown;
}

/** A property with this value stands for the text of `flows/<file>`: no code is edited inside JSON. */
const FILE_REFERENCE = /^file:((?:pages|functions)\/[\w.-]+)$/;

export function fileReference(value: unknown): string | undefined {
  return typeof value === 'string' ? FILE_REFERENCE.exec(value)?.[1] : undefined;
}

const VARIABLE = /^\$\{\w+\}$/;

/**
 * Node-RED keeps credentials in a file of their own; a flow file names the variables that they come from.
 * @throws Error where one is not `${NAME}`: a secret has no place in a flow file
 */
function takeCredentials(nodes: readonly FlowNode[]): { nodes: FlowNode[]; credentials: Credentials } {
  const credentials: Credentials = {};
  const without = nodes.map(({ credentials: own, ...node }) => {
    if (own !== undefined) {
      const wrong = Object.entries(own as object).find(([, value]) => !VARIABLE.test(String(value)));
      if (wrong) throw new Error(`${wrong[0]} of node ${node.id}: accepted is a variable such as \${NAME}`);
      credentials[node.id] = own as Record<string, string>;
    }
    return node as FlowNode;
  });
  return { nodes: without, credentials };
}

/** Tabs in the order of the dashboard's pages; the others come behind them by name. */
const FIRST = ['overview', 'laundry', 'ponds', 'firmware', 'solar', 'roasts'];

function inOrder(a: string, b: string): number {
  const rank = (name: string) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}

/** The flow files of a folder by their base name, as they are written: with references to files. */
export async function readFlowFiles(folder: string): Promise<Map<string, FlowNode[]>> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.json'));
  const flows = new Map<string, FlowNode[]>();
  for (const name of files.map((file) => basename(file, '.json')).sort(inOrder)) {
    flows.set(name, JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8')));
  }
  return flows;
}

/** All flow files of `folder` as one flow file, with the pages and functions put in. */
export async function composeFlows(folder: string): Promise<FlowNode[]> {
  const nodes = [...(await readFlowFiles(folder)).values()].flat();
  const ids = new Set<string>();
  for (const node of nodes) {
    if (ids.has(node.id)) throw new Error(`two nodes of the flow files have the id ${node.id}`);
    ids.add(node.id);
    for (const [property, value] of Object.entries(node)) {
      const file = fileReference(value);
      if (file !== undefined) node[property] = await readFile(join(folder, file), 'utf8');
    }
  }
  return nodes;
}

/** Switches the simulators' tabs: those whose `info` says so in its first line. */
export function setSimulation(nodes: FlowNode[], on: boolean): FlowNode[] {
  return nodes.map((node) => (isSimulation(node) ? { ...node, disabled: !on } : node));
}

function isSimulation(node: FlowNode): boolean {
  return node.type === 'tab' && typeof node['info'] === 'string' && node['info'].startsWith('Simulation');
}

/**
 * The flows that a person imports into a Node-RED of their own: without the simulations and what only they use, and
 * without credentials, since those of the start command come from its environment.
 */
export function withoutSimulation(nodes: readonly FlowNode[]): FlowNode[] {
  const tabs = new Set(nodes.filter(isSimulation).map(({ id }) => id));
  const kept = nodes
    .filter(({ id, z }) => !tabs.has(id) && !tabs.has(String(z)))
    .map(({ credentials: _credentials, ...node }) => node as FlowNode);
  const used = new Set(kept.flatMap(({ id: _id, ...rest }) => Object.values(rest)));
  // Configuration stands on no tab.
  const isUnused = ({ id, type, z }: FlowNode) => z === undefined && type !== 'tab' && !used.has(id);
  const left = kept.filter((node) => !isUnused(node));
  const ids = new Set(left.map(({ id }) => id));
  return left.map((node) =>
    Array.isArray(node['links'])
      ? { ...node, links: node['links'].filter((id) => ids.has(String(id))) }
      : node,
  );
}

/** The same for the same content, however it is laid out and whether or not the simulation is on. */
function fingerprint(nodes: FlowNode[]): string {
  return createHash('sha256')
    .update(JSON.stringify(setSimulation(nodes, true)))
    .digest('hex');
}

async function readJson<T>(file: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export type Composition = 'composed' | 'kept';

/**
 * Writes the flows of `folder` to `flows.json` in `directory`, unless someone has edited that file in the editor
 * since: then only the simulators are switched on or off in it.
 */
export async function installFlows(
  folder: string,
  directory: string,
  options: { simulate: boolean; credentialSecret: string },
): Promise<Composition> {
  const file = join(directory, 'flows.json');
  const noteFile = join(directory, 'flows.composed.json');
  const present = await readJson<FlowNode[]>(file);
  const note = await readJson<{ sha256: string }>(noteFile);
  if (present !== undefined && fingerprint(present) !== note?.sha256) {
    await writeFlows(file, setSimulation(present, options.simulate));
    return 'kept';
  }
  const { nodes, credentials } = takeCredentials(await composeFlows(folder));
  await addCredentials(join(directory, 'flows_cred.json'), options.credentialSecret, credentials);
  await writeFlows(file, setSimulation(nodes, options.simulate));
  await writeFile(noteFile, `${JSON.stringify({ sha256: fingerprint(nodes) })}\n`);
  return 'composed';
}

/** At once or not at all: a start that is killed must not leave half a flow. */
async function writeFlows(file: string, nodes: FlowNode[]): Promise<void> {
  const text = `${JSON.stringify(nodes, null, 4)}\n`;
  if (text === (await readFile(file, 'utf8').catch(() => undefined))) return;
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}
