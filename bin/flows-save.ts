import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { type FlowNode, fileReference, readFlowFiles } from './compose.js';
import { PACKAGE_ROOT } from './editor.js';

const SHARED = 'shared';

const fileName = (label: unknown) =>
  String(label ?? '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '') || 'untitled';

/** Where the code of a node's property belongs: its file so far, or one named after the node. */
function codeFile(known: FlowNode | undefined, node: FlowNode, property: string): string | undefined {
  const file = fileReference(known?.[property]);
  if (file !== undefined) return file;
  if (node.type === 'ui-template' && property === 'format') return `pages/${fileName(node['name'])}.vue`;
  return undefined;
}

/** What is as it was stays where it stood in its file; what is new comes behind it. */
function inOldOrder(kept: FlowNode, old: FlowNode | undefined): FlowNode {
  const names = Object.keys(old ?? {}).filter((name) => name in kept);
  return { ...Object.fromEntries(names.map((name) => [name, kept[name]])), ...kept };
}

const PLACE = ['x', 'y', 'w', 'h'] as const;

/**
 * The editor draws a group around its nodes, whose width depends on the fonts of the machine: as long as none of them
 * has moved, the group is where its file says.
 */
function placeOfGroup(
  group: FlowNode,
  known: ReadonlyMap<string, FlowNode>,
  now: ReadonlyMap<string, FlowNode>,
) {
  const old = known.get(group.id);
  const members = group['nodes'] as string[];
  const stays = (id: string) => PLACE.every((name) => known.get(id)?.[name] === now.get(id)?.[name]);
  const same =
    old !== undefined &&
    JSON.stringify(old['nodes']) === JSON.stringify(members) &&
    members.every((id) => now.get(id)?.type === 'group' || stays(id));
  return same ? Object.fromEntries(PLACE.map((name) => [name, old[name]])) : {};
}

/**
 * Takes composed flows apart: a tab and what is on it go to the file they came from (a new tab to one named after
 * it), configuration nodes to `shared` unless another file had them, pages and functions to files of their own.
 * @param before the flow files as they are
 * @returns flow files by name, and texts by file
 */
export function takeApart(
  nodes: readonly FlowNode[],
  before: ReadonlyMap<string, readonly FlowNode[]>,
): { flows: Map<string, FlowNode[]>; texts: Map<string, string> } {
  const home = new Map<string, string>();
  const known = new Map<string, FlowNode>();
  for (const [file, members] of before) {
    for (const node of members) {
      home.set(node.id, file);
      known.set(node.id, node);
    }
  }
  for (const node of nodes) {
    const isContainer = node.type === 'tab' || node.type === 'subflow';
    if (isContainer && !home.has(node.id)) home.set(node.id, fileName(node['label'] ?? node['name']));
  }
  const now = new Map(nodes.map((node) => [node.id, node]));
  const flows = new Map<string, FlowNode[]>();
  const texts = new Map<string, string>();
  for (const node of nodes) {
    const file = home.get(String(node['z'] ?? '')) ?? home.get(node.id) ?? SHARED;
    const kept: FlowNode = { ...node };
    const old = known.get(node.id);
    // The start command switches simulations; the file keeps them on.
    if (old?.['disabled'] === false) kept['disabled'] = false;
    if (old?.['credentials'] !== undefined) kept['credentials'] = old['credentials'];
    for (const [property, value] of Object.entries(node)) {
      const target = codeFile(old, node, property);
      if (target === undefined || typeof value !== 'string') continue;
      texts.set(target, value);
      kept[property] = `file:${target}`;
    }
    if (node.type === 'group') Object.assign(kept, placeOfGroup(node, known, now));
    flows.set(file, [...(flows.get(file) ?? []), inOldOrder(kept, old)]);
  }
  for (const [file, members] of flows) {
    const places = new Map(before.get(file)?.map(({ id }, index) => [id, index]));
    const placeOf = ({ id }: FlowNode) => places.get(id) ?? places.size;
    flows.set(
      file,
      members.sort((a, b) => placeOf(a) - placeOf(b)),
    );
  }
  return { flows, texts };
}

/** As the files of the repository are laid out. */
function laidOut(members: readonly FlowNode[]): string {
  const biome = createRequire(__filename).resolve('@biomejs/biome/bin/biome');
  return execFileSync(process.execPath, [biome, 'format', '--stdin-file-path=flows/flow.json'], {
    cwd: PACKAGE_ROOT,
    input: JSON.stringify(members, null, 2),
    encoding: 'utf8',
  });
}

/**
 * Writes what was changed in the running editor back into the flow files.
 * @param folder with the flow files
 * @param directory with the `flows.json` of the editor
 * @returns the names of the files that are others now
 */
export async function saveFlows(folder: string, directory: string): Promise<string[]> {
  const nodes = JSON.parse(await readFile(join(directory, 'flows.json'), 'utf8')) as FlowNode[];
  const { flows, texts } = takeApart(nodes, await readFlowFiles(folder));
  const files = new Map([...flows].map(([name, members]) => [`${name}.json`, laidOut(members)]));
  const changed: string[] = [];
  for (const [file, text] of [...files, ...texts]) {
    const path = join(folder, file);
    if (text === (await readFile(path, 'utf8').catch(() => undefined))) continue;
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    changed.push(file);
  }
  return changed;
}

async function main() {
  const directory = resolve(process.env['FIELDLOOM_DIR'] ?? '.fieldloom');
  const changed = await saveFlows(join(PACKAGE_ROOT, 'flows'), directory);
  for (const file of changed) console.log(`flows/${file}`);
  if (changed.length === 0) console.log('Nothing has changed.');
}

if (require.main === module) {
  main().catch((error: Error) => {
    console.error(error.message);
    process.exit(1);
  });
}
