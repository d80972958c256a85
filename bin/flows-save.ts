import { mkdir, readFile, writeFile } from 'node:fs/promises';
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
    flows.set(file, [...(flows.get(file) ?? []), kept]);
  }
  return { flows, texts };
}

async function main() {
  const directory = resolve(process.env['FIELDLOOM_DIR'] ?? '.fieldloom');
  const folder = join(PACKAGE_ROOT, 'flows');
  const nodes = JSON.parse(await readFile(join(directory, 'flows.json'), 'utf8')) as FlowNode[];
  const { flows, texts } = takeApart(nodes, await readFlowFiles(folder));
  for (const [name, members] of flows) {
    await writeFile(join(folder, `${name}.json`), `${JSON.stringify(members, null, 2)}\n`);
    console.log(`flows/${name}.json: ${members.length} nodes`);
  }
  for (const [file, text] of texts) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), text);
    console.log(`flows/${file}`);
  }
}

if (require.main === module) {
  main().catch((error: Error) => {
    console.error(error.message);
    process.exit(1);
  });
}
