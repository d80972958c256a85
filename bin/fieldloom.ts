#!/usr/bin/env node
// Nothing but the version check may load at once: an older Node.js cannot even load the rest.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 13)) {
  process.stderr.write(
    `fieldloom: Node.js 22.13 or later is needed, this is ${process.versions.node} (${process.execPath})\n`,
  );
  process.exitCode = 1;
} else {
  import('./commands/run.js').then(({ runCommand }) => runCommand(process.argv.slice(2)));
}

export {};
