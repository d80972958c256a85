import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { composeFlows, type FlowNode } from '../../bin/compose.js';

const NRLINT = join(createRequire(__filename).resolve('nrlint/package.json'), '../bin/nrlint.js');

interface Found {
  /** Ids of nodes. */
  location: string[];
  message: string;
  rule: string;
  severity: string;
}

/** What nrlint says of a flow file. */
async function lint(file: string): Promise<Found[]> {
  const options = ['-c', 'flows/.nrlintrc.js', '-f', 'json'];
  const printed = await new Promise<string>((resolve, reject) => {
    // It ends with a code other than 0 where it has found something.
    execFile(process.execPath, [NRLINT, ...options, file], (error, stdout) => {
      if (stdout.startsWith('[')) resolve(stdout);
      else reject(error ?? new Error(`nrlint printed ${stdout}`));
    });
  });
  return JSON.parse(printed) as Found[];
}

/** Our two ends, wired to each other, ask and answer: there a loop is what is meant. */
const unmeant = (found: readonly Found[], nodes: readonly FlowNode[]) => {
  const ours = new Set(nodes.flatMap(({ id, type }) => (type.startsWith('fieldloom-') ? [id] : [])));
  return found.filter(({ rule, location }) => rule !== 'no-loops' || !location.some((id) => ours.has(id)));
};

describe('nrlint', function () {
  this.timeout(60_000);
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fieldloom-lint-'));
  });
  after(() => rm(directory, { recursive: true }));

  const problems = async (nodes: readonly FlowNode[]) => {
    const file = join(directory, 'flow.json');
    await writeFile(file, JSON.stringify(nodes));
    return unmeant(await lint(file), nodes);
  };

  it('finds nothing in the flows', async () => {
    assert.deepEqual(await problems(await composeFlows('flows')), []);
  });

  it('finds nothing in the examples', async () => {
    const found: Record<string, Found[]> = {};
    for (const name of (await readdir('examples')).filter((each) => each.endsWith('.json'))) {
      const here = await problems(JSON.parse(await readFile(join('examples', name), 'utf8')) as FlowNode[]);
      if (here.length > 0) found[name] = here;
    }
    assert.deepEqual(found, {});
  });

  it('finds a function that uses what is not there', async () => {
    const nodes = [
      { id: 'tab', type: 'tab', label: 'Tab' },
      {
        id: 'one',
        type: 'function',
        name: 'one',
        // The last line it does not look at.
        func: 'msg.topic = mgs.topic;\nreturn msg;',
        z: 'tab',
        x: 100,
        y: 100,
        wires: [[]],
      },
    ];
    const rules = new Set((await problems(nodes)).map(({ rule }) => rule));
    assert.ok(rules.has('function-eslint'), [...rules].join());
  });
});
