import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { freePort, listening } from './ports.js';

const run = promisify(execFile);

export interface RabbitMq {
  /** Of its MQTT plugin. */
  url: string;
  /** Ends all MQTT connections, as its operator does: version 3.10 has no command for one. */
  disconnectAll(): Promise<void>;
  stop(): Promise<void>;
}

/** Debian's script of the server's name on the PATH runs RabbitMQ as another user; the one behind it runs it as ours. */
function command(name: 'rabbitmq-server' | 'rabbitmqctl'): string {
  const folders = ['/usr/lib/rabbitmq/bin', ...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'];
  const found = folders.map((folder) => join(folder, name)).find(existsSync);
  if (found === undefined) throw new Error(`the service tests need RabbitMQ: ${name} is not there`);
  return found;
}

/** The settings of docs/brokers.md, for a gateway at this address. */
const settings = (port: number, mqttPort: number, gateway: string | undefined, secret: string) => {
  const listeners = [`listeners.tcp.1 = 127.0.0.1:${port}`, `mqtt.listeners.tcp.1 = 127.0.0.1:${mqttPort}`];
  if (gateway === undefined) return [...listeners, 'mqtt.allow_anonymous = true', ''].join('\n');
  const { host } = new URL(gateway);
  const path = (name: string) =>
    `auth_http.${name}_path = http://fieldloom:${secret}@${host}/mqtt/rabbitmq/${name}`;
  return [
    ...listeners,
    'mqtt.allow_anonymous = false',
    'auth_backends.1 = http',
    'auth_http.http_method = post',
    ...['user', 'vhost', 'resource', 'topic'].map(path),
    '',
  ].join('\n');
};

/**
 * A RabbitMQ of our own with its MQTT plugin: own name, ports, folders and name service, so that one that runs here
 * already stays as it is. It asks the gateway about everything, or without one lets everybody in.
 */
export async function startRabbitMq(gateway?: string, secret = ''): Promise<RabbitMq> {
  const directory = await mkdtemp(join(tmpdir(), 'fieldloom-rabbitmq-'));
  const [port, mqttPort, distributionPort, namesPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const file = (name: string) => join(directory, name);
  await mkdir(file('data'));
  await writeFile(file('rabbitmq.conf'), settings(port, mqttPort, gateway, secret));
  await writeFile(file('plugins'), '[rabbitmq_mqtt,rabbitmq_auth_backend_http].');
  const env = {
    PATH: `${process.env['PATH']}:/usr/sbin:/usr/bin:/bin`,
    HOME: directory,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: String(namesPort),
    RABBITMQ_NODENAME: `fieldloom-test-${port}@localhost`,
    RABBITMQ_CONFIG_FILE: file('rabbitmq.conf'),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_ENABLED_PLUGINS_FILE: file('plugins'),
    RABBITMQ_MNESIA_BASE: file('data'),
    RABBITMQ_LOG_BASE: file('log'),
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distributionPort),
  };
  // A group of its own: the script starts processes that outlive it.
  const child = spawn(command('rabbitmq-server'), { env, detached: true, stdio: 'ignore' });
  const exit = once(child, 'exit');
  await Promise.race([
    listening(mqttPort, 90_000),
    exit.then(([code]) => {
      throw new Error(`RabbitMQ ended with ${code}`);
    }),
  ]);
  return {
    url: `mqtt://127.0.0.1:${mqttPort}`,
    async disconnectAll() {
      const call = 'rabbit_mqtt:close_all_client_connections("revoked").';
      await run(command('rabbitmqctl'), ['eval', call], { env });
    },
    async stop() {
      process.kill(-(child.pid as number), 'SIGTERM');
      await exit;
      await run('epmd', ['-kill'], { env }).catch(() => {});
      await rm(directory, { recursive: true, force: true });
    },
  };
}
