// `npm start`: builds what is not built, then starts the gateway in this process.
import { ensureBuilt, requireNode } from './ensure-built.mjs';

requireNode('npm start');
try {
  await ensureBuilt();
} catch (error) {
  process.stderr.write(`npm start: ${error.message}\n`);
  process.exit(1);
}
await import('../dist/bin/start.js');
