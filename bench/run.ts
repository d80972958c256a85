import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { benchCommands } from './commands.js';
import { benchFleet } from './fleet.js';
import { DATABASES } from './harness/databases.js';
import { benchHistory, type HistoryOptions } from './history.js';
import { benchImages } from './images.js';
import { benchIngest, type IngestOptions } from './ingest.js';
import { benchLiveFeed, type LiveFeedOptions } from './live-feed.js';
import { benchRoastLive } from './roast-live.js';
import { benchRollout } from './rollout.js';

const PEERS = join(__dirname, '../../bench/peers');

/** The peer has a native part: installed on first use, apart from the package, which compiles nothing. */
function installPeers(): void {
  if (existsSync(join(PEERS, 'node_modules/node-red-node-sqlite'))) return;
  console.log(
    'Installing what is measured against in bench/peers (compiles a native part: a minute or two) …',
  );
  execFileSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: PEERS,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

const whole = (text: string) => {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`${text}: accepted is a whole number above 0`);
  return number;
};

const onDatabase = () =>
  new Option('--database <name>', 'mysql and postgres: on the server of TEST_MYSQL_URL, TEST_POSTGRES_URL')
    .choices(DATABASES)
    .default('sqlite');

const program = new Command('bench').description('Figures of this package against its peers, in one run.');
program
  .command('ingest', { isDefault: true })
  .description('committed messages a second, against Node-RED’s own nodes and a bare MQTT client')
  .addOption(new Option('--messages <n>', 'messages a candidate').default(100_000).argParser(whole))
  .addOption(
    new Option('--rounds <n>', 'measurements of each candidate, in turns').default(3).argParser(whole),
  )
  .addOption(
    new Option('--protocol <name>', 'what is sent').choices(['telemetry', 'laundry']).default('telemetry'),
  )
  .addOption(onDatabase())
  .addOption(
    new Option('--broker <name>', 'one broker alone; default: both').choices(['mosquitto', 'embedded']),
  )
  .addOption(new Option('--only <text>', 'only candidates whose name holds this'))
  .action(async (options: IngestOptions) => {
    installPeers();
    console.log(`${cpus().length} × ${cpus()[0]?.model}, Node.js ${process.version}\n`);
    await benchIngest(options);
  });
program
  .command('history')
  .description('a month of one machine by the hour, from its rollups and from its rows')
  .addOption(onDatabase())
  .addOption(new Option('--rows <n>', 'rows of telemetry').default(1_000_000).argParser(whole))
  .addOption(new Option('--machines <n>', 'machines that share them; default: 90 days each').argParser(whole))
  .action((options: HistoryOptions) => benchHistory(options));
program
  .command('fleet')
  .description('processor time and memory of a gateway with many controllers that report every 30 s')
  .addOption(new Option('--controllers <n>', 'controllers').default(5000).argParser(whole))
  .addOption(new Option('--minutes <n>', 'minutes after all are connected').default(5).argParser(whole))
  .action((options: { controllers: number; minutes: number }) => benchFleet(options));
program
  .command('images')
  .description('memory of a gateway that takes one large firmware image and serves it to many at once')
  .addOption(new Option('--size <n>', 'MiB of the image').default(500).argParser(whole))
  .addOption(new Option('--downloads <n>', 'downloads at once').default(50).argParser(whole))
  .action((options: { size: number; downloads: number }) => benchImages(options));

program
  .command('commands')
  .description('commands: round trips against a bare MQTT client, cost by how many are in flight, timeouts')
  .addOption(new Option('--commands <n>', 'commands a run').default(10_000).argParser(whole))
  .action((options: { commands: number }) => benchCommands(options));

program
  .command('rollout')
  .description('a staged firmware rollout to its end, against a bare publisher of as many messages')
  .addOption(new Option('--controllers <n>', 'controllers').default(10_000).argParser(whole))
  .action((options: { controllers: number }) => benchRollout(options));

program
  .command('live-feed')
  .description(
    'live feeds of solar machines: what a client costs, and what one that stops reading does to the others',
  )
  .addOption(new Option('--clients <n>', 'clients, over all machines').default(1_000).argParser(whole))
  .addOption(new Option('--machines <n>', 'machines').default(100).argParser(whole))
  .addOption(new Option('--seconds <n>', 'seconds of each part').default(15).argParser(whole))
  .action((options: LiveFeedOptions) => benchLiveFeed(options));

program
  .command('roast-live')
  .description(
    'how late readings of roasts are at many watchers, and their bytes on the wire against polling',
  )
  .addOption(new Option('--watchers <n>', 'watchers, over all machines').default(100).argParser(whole))
  .addOption(new Option('--machines <n>', 'machines at 10 readings a second').default(4).argParser(whole))
  .addOption(new Option('--seconds <n>', 'seconds measured').default(20).argParser(whole))
  .action((options: { watchers: number; machines: number; seconds: number }) => benchRoastLive(options));

program.parseAsync().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
