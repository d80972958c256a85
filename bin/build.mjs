// Builds dist/: types from schemas, TypeScript, the files a node needs beside its .js, the browser client. And the
// example with the complete system.
import { execFileSync } from 'node:child_process';
import { cp, glob, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as bundle } from 'esbuild';
import { compileFromFile } from 'json-schema-to-typescript';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);

const list = async (pattern) => (await Array.fromAsync(glob(pattern))).sort();

/** Types of the schemas of one folder; what they refer to in another file they call by its title. */
async function typesOf(folder) {
  const parts = [];
  for (const file of await list(`schemas/${folder}/*.schema.json`)) {
    parts.push(
      await compileFromFile(file, {
        bannerComment: '',
        cwd: `schemas/${folder}`,
        declareExternallyReferenced: false,
        unknownAny: true,
        // An array of at most so many is no tuple of each length.
        ignoreMinAndMaxItems: true,
        style: { singleQuote: true, printWidth: 110 },
      }),
    );
  }
  return parts;
}

/** One wire.ts a protocol, from every *.schema.json of its folder in schemas/ and of schemas/common. */
async function generateWireTypes() {
  const common = await typesOf('common');
  for (const folder of await list('schemas/*/')) {
    const protocol = basename(folder);
    const own = protocol === 'common' ? [] : await typesOf(protocol);
    if (own.length === 0) continue;
    const text = `// Generated from schemas/${protocol} by bin/build.mjs.\n\n${[...common, ...own].join('\n')}`;
    await writeIfChanged(`lib/${protocol}/wire.ts`, text);
  }
}

async function writeIfChanged(file, text) {
  const old = await readFile(file, 'utf8').catch(() => undefined);
  if (old !== text) await writeFile(file, text);
}

async function copyBesideCode() {
  const files = [
    ...(await list('nodes/*/*.html')),
    ...(await list('nodes/*/icons/*')),
    ...(await list('nodes/*/locales/*/*')),
  ];
  for (const file of files) {
    await mkdir(join('dist', dirname(file)), { recursive: true });
    await cp(file, join('dist', file));
  }
}

async function bundleClient() {
  const entryPoints = await list('client/browser/*.ts');
  if (entryPoints.length === 0) return;
  await bundle({
    entryPoints,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    sourcemap: true,
    outdir: 'dist/client/browser',
    loader: { '.css': 'text' },
    logLevel: 'warning',
  });
  // What is bundled comes with its licence.
  await cp('node_modules/uplot/LICENSE', 'dist/client/browser/uplot.LICENSE');
}

/** The system without its simulations, for Node-RED's Import: flows/ put together as the start command does it. */
async function composeExample() {
  const { composeFlows, withoutSimulation } = createRequire(import.meta.url)('../dist/bin/compose.js');
  const nodes = withoutSimulation(await composeFlows('flows'));
  await writeIfChanged('examples/complete-system.json', `${JSON.stringify(nodes, null, 2)}\n`);
}

await rm('dist', { recursive: true, force: true });
await generateWireTypes();
const tsc = createRequire(import.meta.url).resolve('typescript/package.json');
for (const project of ['.', 'client/browser']) {
  execFileSync(process.execPath, [join(dirname(tsc), 'bin/tsc'), '-p', project], { stdio: 'inherit' });
}
await copyBesideCode();
await composeExample();
await bundleClient();
