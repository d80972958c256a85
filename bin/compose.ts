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

/** The flow files of a folder by their base name, as they are written: with references to files. */
export async function readFlowFiles(folder: string): Promise<Map<string, FlowNode[]>> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
  const flows = new Map<string, FlowNode[]>();
  for (const file of files) {
    flows.set(basename(file, '.json'), JSON.parse(await readFile(join(folder, file), 'utf8')));
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
