import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { FieldloomError } from '../lib/core/errors.js';
import { databaseUrl, type Environment, fieldloomDirectory } from './database-url.js';

export interface Settings {
  /** Address of every listener. */
  host: string;
  /** True where only this machine can reach `host`. */
  loopback: boolean;
  port: number;
  mqttPort: number;
  /** True where the user named the port: then no other is tried. */
  mqttPortFixed: boolean;
  mqttsPort: number | undefined;
  mqttWsPort: number | undefined;
  tls: { certFile: string; keyFile: string } | undefined;
  /** Use this broker instead of the embedded one. */
  external: { url: string; username: string | undefined; password: string | undefined } | undefined;
  databaseUrl: string;
  /** This gateway's name where several share broker and database. */
  gatewayId: string | undefined;
  /** Their group of shared subscriptions. */
  share: string | undefined;
  /** Absolute path. */
  directory: string;
  simulate: boolean;
  /** Without a trailing slash. */
  publicUrl: string;
  access: 'open' | 'token';
}

function refuse(name: string, value: string, accepted: string): never {
  throw new FieldloomError('invalid_setting', `${name}=${value}: accepted is ${accepted}`, {
    details: { name },
  });
}

/** The part of a URL that may be shown: a password in it must reach no log. */
function withoutPassword(value: string): string {
  return value.replace(/\/\/[^/]*@/, '//…@');
}

/** Set and not empty: `HOST= npm start` means the default. */
function text(environment: Environment, name: string): string | undefined {
  const value = environment[name]?.trim();
  return value === undefined || value === '' ? undefined : value;
}

function port(environment: Environment, name: string): number | undefined {
  const value = text(environment, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!/^\d{1,5}$/.test(value) || number < 1 || number > 65_535) {
    refuse(name, value, 'a port number from 1 to 65535');
  }
  return number;
}

function oneOf<T extends string>(
  environment: Environment,
  name: string,
  accepted: readonly T[],
): T | undefined {
  const value = text(environment, name);
  if (value === undefined) return undefined;
  if (!accepted.includes(value as T)) refuse(name, value, accepted.join(' or '));
  return value as T;
}

function url(environment: Environment, name: string, protocols: readonly string[]): string | undefined {
  const value = text(environment, name);
  if (value === undefined) return undefined;
  const accepted = `a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(', ')}`;
  const parsed = URL.canParse(value) ? new URL(value) : undefined;
  if (parsed === undefined || !protocols.includes(parsed.protocol) || parsed.hostname === '') {
    refuse(name, withoutPassword(value), accepted);
  }
  return value;
}

function host(environment: Environment): string {
  const value = text(environment, 'HOST') ?? '127.0.0.1';
  const bare = value.replace(/^\[(.*)\]$/, '$1');
  if (!/^[A-Za-z0-9.:_-]+(%[A-Za-z0-9]+)?$/.test(bare)) {
    refuse('HOST', value, 'an IP address or host name of this machine, such as 127.0.0.1 or 0.0.0.0');
  }
  return bare;
}

export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^127(\.\d{1,3}){3}$/.test(address);
}

function tls(environment: Environment): Settings['tls'] {
  const files = { TLS_CERT: text(environment, 'TLS_CERT'), TLS_KEY: text(environment, 'TLS_KEY') };
  for (const [name, file] of Object.entries(files)) {
    if (file !== undefined && !existsSync(file)) refuse(name, file, 'a PEM file that exists');
  }
  const { TLS_CERT: certFile, TLS_KEY: keyFile } = files;
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined) refuse('TLS_CERT', '', 'a PEM file, since TLS_KEY is set');
  if (keyFile === undefined) refuse('TLS_KEY', '', 'a PEM file, since TLS_CERT is set');
  return { certFile: resolve(certFile), keyFile: resolve(keyFile) };
}

function externalBroker(environment: Environment): Settings['external'] {
  const brokerUrl = url(environment, 'MQTT_URL', ['mqtt:', 'mqtts:', 'ws:', 'wss:']);
  const username = text(environment, 'MQTT_USERNAME');
  // Spaces may belong to a password.
  const password = environment['MQTT_PASSWORD'] === '' ? undefined : environment['MQTT_PASSWORD'];
  if (brokerUrl !== undefined) return { url: brokerUrl, username, password };
  if (username !== undefined) refuse('MQTT_USERNAME', username, 'a user name together with MQTT_URL');
  if (password !== undefined) refuse('MQTT_PASSWORD', '…', 'a password together with MQTT_URL');
  return undefined;
}

function named(environment: Environment, name: string, form: RegExp, accepted: string): string | undefined {
  const value = text(environment, name);
  if (value !== undefined && !form.test(value)) refuse(name, value, accepted);
  return value;
}

/** Several gateways need one broker and one database that all of them reach. */
function several(settings: Settings) {
  const { gatewayId, share, external, databaseUrl: database } = settings;
  if (gatewayId === undefined) {
    if (share !== undefined) refuse('MQTT_SHARE', share, 'a group together with GATEWAY_ID');
    return;
  }
  if (external === undefined) refuse('GATEWAY_ID', gatewayId, 'a name together with MQTT_URL');
  if (database.startsWith('sqlite:')) {
    refuse('GATEWAY_ID', gatewayId, 'a name together with a DATABASE_URL of a database server');
  }
  // RabbitMQ has no shared subscriptions: there one gateway is connected, and the others stand by.
  settings.share = share === 'none' ? undefined : (share ?? 'fieldloom');
}

function distinctPorts(settings: Settings) {
  const ports: [string, number | undefined][] = [['PORT', settings.port]];
  if (settings.external === undefined) {
    if (settings.mqttPortFixed) ports.push(['MQTT_PORT', settings.mqttPort]);
    ports.push(['MQTTS_PORT', settings.mqttsPort], ['MQTT_WS_PORT', settings.mqttWsPort]);
  }
  const taken = new Map<number, string>();
  for (const [name, number] of ports) {
    if (number === undefined) continue;
    const other = taken.get(number);
    if (other !== undefined) refuse(name, String(number), `a port that ${other} does not use already`);
    taken.set(number, name);
  }
}

/**
 * Reads and checks the environment of the start command (contract.md "Start and test").
 * @throws FieldloomError invalid_setting: one line with the variable, its value and what is accepted
 */
export function readSettings(environment: Environment): Settings {
  const address = host(environment);
  const loopback = isLoopback(address);
  const directory = fieldloomDirectory(environment);
  const httpPort = port(environment, 'PORT') ?? 1880;
  const mqttPort = port(environment, 'MQTT_PORT');
  const access = oneOf(environment, 'ACCESS', ['open', 'token'] as const) ?? (loopback ? 'open' : 'token');
  if (access === 'open' && !loopback) {
    refuse('ACCESS', 'open', `token, since HOST=${address} can be reached from other machines`);
  }
  const mqttsPort = port(environment, 'MQTTS_PORT');
  const certificate = tls(environment);
  if (mqttsPort !== undefined && certificate === undefined) {
    refuse('MQTTS_PORT', String(mqttsPort), 'a port together with TLS_CERT and TLS_KEY');
  }
  const gatewayId = named(
    environment,
    'GATEWAY_ID',
    /^[\w.-]{1,64}$/,
    '1 to 64 letters, digits, ".", "_" and "-"',
  );
  // Each gateway would simulate the same machines.
  const alone = gatewayId === undefined ? '1' : '0';
  const shown = address.includes(':') ? `[${address}]` : address;
  const settings: Settings = {
    host: address,
    loopback,
    port: httpPort,
    mqttPort: mqttPort ?? 1883,
    mqttPortFixed: mqttPort !== undefined,
    mqttsPort,
    mqttWsPort: port(environment, 'MQTT_WS_PORT'),
    tls: certificate,
    external: externalBroker(environment),
    databaseUrl: databaseUrl(environment),
    gatewayId,
    share: named(environment, 'MQTT_SHARE', /^[^\s/+#]{1,64}$/, '1 to 64 characters without "/", "+", "#"'),
    directory,
    simulate: (oneOf(environment, 'SIMULATE', ['0', '1'] as const) ?? alone) === '1',
    publicUrl: (url(environment, 'PUBLIC_URL', ['http:', 'https:']) ?? `http://${shown}:${httpPort}`).replace(
      /\/+$/,
      '',
    ),
    access,
  };
  distinctPorts(settings);
  several(settings);
  return settings;
}
