import { FieldloomError, hasCode } from '../lib/core/errors.js';
import { version } from '../package.json';
import { type Gateway, startGateway } from './gateway.js';
import { readSettings, type Settings } from './settings.js';

/** contract.md "Start and test": an orderly end within 10 s. */
const STOP_MS = 9500;
const READY_MS = 30_000;

function greeting(settings: Settings, gateway: Gateway): string {
  const base = settings.publicUrl;
  const address = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
  const lines = [`Fieldloom ${version} is ready.`, ''];
  const say = (name: string, text: string) => lines.push(`  ${name.padEnd(11)}${text}`);
  say('Dashboard', `${base}/dashboard`);
  say('Editor', `${base}/`);
  const reading = settings.access === 'open' ? 'reading wants no token: ACCESS=open' : 'wants a token';
  say('REST', `${base}/stores (${reading})`);
  if (settings.external !== undefined) say('MQTT', `${settings.external.url} (MQTT_URL)`);
  else {
    const moved = gateway.mqttPort === settings.mqttPort ? '' : ` (port ${settings.mqttPort} is taken)`;
    say('MQTT', `mqtt://${address}:${gateway.mqttPort}${moved}`);
    if (settings.mqttsPort !== undefined) say('', `mqtts://${address}:${settings.mqttsPort}`);
    const ws = settings.tls === undefined ? 'ws' : 'wss';
    if (settings.mqttWsPort !== undefined) say('', `${ws}://${address}:${settings.mqttWsPort}`);
  }
  const { demo } = gateway;
  if (demo?.taken === true) {
    say(
      'Ponds',
      `none simulated: there is a user ${demo.name} already whose password is not in ${demo.passwordFile}`,
    );
  } else if (demo !== undefined) say('Demo', `log in as ${demo.name}, password in ${demo.passwordFile}`);
  say('Data', settings.directory);
  if (gateway.flows === 'kept') {
    say('Flows', 'as edited in the editor; delete flows.json there to get those of this version');
  }
  if (gateway.newEditorPassword !== undefined) {
    lines.push('', `  The editor's login, shown this once: admin ${gateway.newEditorPassword}`);
  }
  lines.push(
    '',
    '  Add a controller:  npm run -s fieldloom -- access add --role controller --store <UUID> --controller <UUID>',
    '  Add a pond:        npm run -s fieldloom -- pond add --owner <NAME> --device <ID> --position 1 --name <TEXT>',
    '  Add a user:        npm run -s fieldloom -- user add <NAME> --password-stdin --admin',
    '',
  );
  return lines.join('\n');
}

function stopOnSignals(gateway: Gateway) {
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) process.exit(1);
    stopping = true;
    console.log(`${signal}: finishing what is in flight`);
    setTimeout(() => {
      console.error('stopped before everything was finished');
      process.exit(1);
    }, STOP_MS).unref();
    gateway.stop().then(
      () => process.exit(0),
      (error: Error) => {
        console.error(error.message);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

async function main() {
  // What is written from now on, by Node-RED too, is its owner's alone: flows, credentials, database.
  process.umask(0o077);
  const settings = readSettings(process.env);
  const gateway = await startGateway(settings);
  stopOnSignals(gateway);
  if (await gateway.ready(READY_MS)) console.log(greeting(settings, gateway));
  else
    console.error(`not ready after ${READY_MS / 1000} s: ${settings.publicUrl}/health tells what is missing`);
}

main().catch((error: unknown) => {
  if (hasCode(error, 'invalid_setting')) {
    console.error(error.message);
    process.exit(2);
  }
  console.error(error instanceof FieldloomError ? error.message : error);
  process.exit(1);
});
