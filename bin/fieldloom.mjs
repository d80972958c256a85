// The fieldloom command of a checkout: `npm run -s fieldloom -- …`. An installed package has dist/bin/fieldloom.js.
import { ensureBuilt, requireNode } from './ensure-built.mjs';

requireNode('fieldloom');
try {
  await ensureBuilt();
  await import('../dist/bin/fieldloom.js');
} catch (error) {
  process.stderr.write(`fieldloom: ${error.message}\n`);
  process.exitCode = 1;
}
