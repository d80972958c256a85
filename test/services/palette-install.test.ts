import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { eventually } from '../support/gateway.js';
import { InstalledNodeRed, install, pack, weigh } from '../support/palette.js';

// Needs the npm registry. The oldest Node.js and Node-RED that package.json accepts, and those of the checkout.

const OLDEST_NODE = '22.13.1';
/** The oldest on the oldest, the newest on the newest. */
const PAIRS = [
  ['4.1', OLDEST_NODE],
  ['5.0', process.versions.node],
] as const;
const STORE = '6ba7b811-9dad-11d1-80b4-00c04fd430c8';
const CONTROLLER = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';
const EXAMPLE = '/library/examples/flows/@fieldloom/node-red-fieldloom/complete-system';

const STATE = {
  version: '1.0.0',
  event_type: 'machine_state',
  timestamp: '2024-01-15T16:00:00+07:00',
  correlation_id: '550e8400-e29b-41d4-a716-446655440004',
  controller_id: CONTROLLER,
  store_id: STORE,
  payload: {
    machines: [
      { machine_type: 'washer', relay_id: 1, status: 'busy', last_updated: '2024-01-15T15:58:30+07:00' },
    ],
  },
};

interface NodeSet {
  module: string;
  types: string[];
  enabled: boolean;
  err?: string;
}

describe('the packed package', function () {
  this.timeout(600_000);
  let folder: string;
  let tarball: string;
  /** A user's folder as the palette leaves it. */
  let pristine: string;
  let nodes: Record<string, string>;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fieldloom-palette-'));
    tarball = join(folder, (await pack(folder)).filename);
    pristine = join(folder, 'user');
    await install(pristine, tarball, '@flowfuse/node-red-dashboard@1');
    const platform = `node-${process.platform}-${process.arch}`;
    await install(join(folder, 'node'), `${platform}@${OLDEST_NODE}`);
    nodes = {
      [OLDEST_NODE]: join(folder, 'node/node_modules', platform, 'bin/node'),
      [process.versions.node]: process.execPath,
    };
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('is installed without compiling anything; its one native part, serial ports for Modbus, comes built', async () => {
    const seconds = await install(join(folder, 'alone'), tarball);
    const { bytes, files, withScripts } = await weigh(join(folder, 'alone/node_modules'));
    const packages = await readdir(join(folder, 'alone/node_modules'));
    const mib = (number: number) => (number / 1024 / 1024).toFixed(1);
    console.log(
      `      packed ${mib((await stat(tarball)).size)} MiB; installed with its dependencies ${mib(bytes)} MiB in ` +
        `${files} files, ${packages.length} folders of node_modules, ${seconds.toFixed(0)} s`,
    );
    const serial = join(folder, 'alone/node_modules/@serialport/bindings-cpp');
    const itsScripts = ['@serialport/bindings-cpp: install', join(serial, 'binding.gyp')];
    assert.deepEqual(withScripts.sort(), itsScripts.sort());
    // That script only looks for what is there for this platform.
    const built = (await readdir(join(serial, 'prebuilds'))).find((name) =>
      name.startsWith(`${process.platform}-${process.arch}`),
    );
    assert.ok(built !== undefined || process.platform === 'darwin');
    assert.ok(!existsSync(join(serial, 'build')));
  });

  for (const [version, of] of PAIRS) {
    it(`runs the complete system in Node-RED ${version} on Node.js ${of}: import, login, a controller's message, REST, dashboard`, async () => {
      const installed = join(folder, `node-red-${version}`);
      await install(installed, `node-red@~${version}`);
      const userDirectory = join(folder, `user-${version}`);
      await cp(pristine, userDirectory, { recursive: true, verbatimSymlinks: true });
      const red = await InstalledNodeRed.create(nodes[of] as string, installed, userDirectory);
      try {
        await red.start();
        assert.match(red.output, new RegExp(`Node\\.js\\s+version: v${of}`));
        assert.match(red.output, new RegExp(`Node-RED version: v${version.replace('.', '\\.')}`));

        const manifest = JSON.parse(await readFile('package.json', 'utf8')) as {
          'node-red': { nodes: object };
        };
        const sets = (await red.ask<NodeSet[]>('/nodes')).filter(
          ({ module }) => module === '@fieldloom/node-red-fieldloom',
        );
        assert.deepEqual(
          sets.flatMap(({ types, enabled, err }) => (enabled && err === undefined ? types : [])).sort(),
          Object.keys(manifest['node-red'].nodes).sort(),
        );

        // Import, Examples; then Deploy.
        const flows = await red.ask<object[]>(EXAMPLE);
        await red.ask('/flows', { body: flows });
        await eventually(() => red.ask('/health'), 'a healthy system');

        const { username, password } = await red.command<{ username: string; password: string }>([
          ...['access', 'add', '--role', 'controller', '--store', STORE, '--controller', CONTROLLER],
        ]);
        const controller = await connectAsync(`mqtt://127.0.0.1:${red.mqttPort}`, { username, password });
        const topic = `/stores/${STORE}/controllers/${CONTROLLER}/metrics`;
        await controller.publishAsync(topic, JSON.stringify(STATE), { qos: 1 });
        await controller.endAsync();
        await red.command(['user', 'add', 'ann', '--password-stdin', '--admin'], 'a long password\n');
        const { token } = await red.command<{ token: string }>(['user', 'token', 'ann']);
        const shop = await red.ask<{ controllers: { machines: object[] }[] }>(`/stores/${STORE}/machines`, {
          token,
        });
        assert.equal(shop.controllers[0]?.machines.length, 1);

        const page = await fetch(`${red.url}/dashboard/laundry`);
        assert.equal(page.status, 200);
        assert.match(await page.text(), /<div id="app"/);
        assert.equal((await fetch(`${red.url}/fieldloom/client/laundry.js`)).status, 200);
        assert.doesNotMatch(red.output, /\[(error|fatal)\]/);
      } catch (error) {
        throw new Error(`${error}\n${red.output}`);
      } finally {
        await red.stop();
      }
    });
  }
});
