import type { ConnectionOptions as TlsOptions } from 'node:tls';
import type { IClientOptions } from 'mqtt';
import type { BackoffOptions } from '../core/backoff.js';
import type { Clock } from '../core/clock.js';
import { FieldloomError } from '../core/errors.js';
import type { QoS } from '../core/link.js';
import type { Log } from '../core/log.js';
import type { OutboxStore } from './outbox.js';

export interface Will {
  topic: string;
  payload: Buffer | string;
  qos: QoS;
  retain: boolean;
}

export interface ConnectionOptions {
  /** mqtt, mqtts, ws or wss. */
  url: string;
  /** Default 3.1.1. */
  version?: '3.1.1' | '5';
  /** Stable: the broker keeps the session under it. Two connections must not use the same. */
  clientId: string;
  username?: string;
  password?: string;
  /** As Node-RED's tls-config node gives it: key, cert, ca, passphrase, servername, rejectUnauthorized, ALPNProtocols. */
  tls?: TlsOptions;
  will?: Will;
  /** Seconds, default 60; 0 for none. */
  keepaliveS?: number;
  /** Default true. False: what arrives while this gateway is away is lost. */
  persistentSession?: boolean;
  /** How long the broker keeps the session (MQTT 5), seconds; default 7 days. */
  sessionExpiryS?: number;
  /** Messages with their handlers at once; past it reading stops. Default 1,000. */
  maxUnacknowledged?: number;
  /** Publishes that may wait. Default 10,000. */
  maxQueued?: number;
  /** Publishes under way at once. Default 100; MQTT 5 brokers may lower it. */
  maxInFlight?: number;
  /** Default 30 s. */
  connectTimeoutMs?: number;
  /** Between attempts to connect. Default 1 s doubling up to 5 s, jitter 20 %. */
  reconnect?: BackoffOptions;
  /** Before a handler that failed is called again. Default 1 s doubling up to 60 s, jitter 20 %. */
  retry?: BackoffOptions;
  /** How long a message waits for a subscriber that has not registered yet. Default 60 s. */
  unclaimedMs?: number;
  /** Where durable publishes are kept. Without it they live as long as the process. */
  outbox?: OutboxStore;
  clock?: Clock;
  log?: Log;
}

const PROTOCOLS = ['mqtt:', 'mqtts:', 'ws:', 'wss:'];
const SEVEN_DAYS_S = 7 * 24 * 3600;

function invalid(setting: string, found: unknown, accepted: string): never {
  throw new FieldloomError(
    'invalid_setting',
    `${setting} is ${JSON.stringify(found)}: accepted is ${accepted}`,
    {
      details: { setting },
    },
  );
}

function checkWhole(setting: string, value: number | undefined, from: number, to: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= from && value <= to)) return;
  invalid(setting, value, `a whole number from ${from} to ${to}`);
}

/** @throws FieldloomError invalid_setting, missing_setting: names the option and what is accepted, never its secret */
export function checkConnectionOptions(options: ConnectionOptions): void {
  const url = URL.canParse(options.url) ? new URL(options.url) : undefined;
  const accepted = 'mqtt://, mqtts://, ws:// or wss:// with a host, without user and password';
  if (url === undefined || url.hostname === '' || !PROTOCOLS.includes(url.protocol)) {
    invalid('url', url === undefined ? options.url : `${url.protocol}//${url.host}`, accepted);
  }
  if (url.username !== '' || url.password !== '') invalid('url', `${url.protocol}//…@${url.host}`, accepted);
  if (options.clientId === '') {
    throw new FieldloomError('missing_setting', 'clientId is empty: the broker keeps the session under it');
  }
  if (options.version !== undefined && !['3.1.1', '5'].includes(options.version)) {
    invalid('version', options.version, '3.1.1 or 5');
  }
  checkWhole('keepaliveS', options.keepaliveS, 0, 65_535);
  checkWhole('sessionExpiryS', options.sessionExpiryS, 0, 0xffff_ffff);
  checkWhole('maxUnacknowledged', options.maxUnacknowledged, 1, 65_535);
  checkWhole('maxQueued', options.maxQueued, 1, 10_000_000);
  checkWhole('maxInFlight', options.maxInFlight, 1, 65_535);
}

/** The same as MQTT.js wants it. */
export function clientOptions(options: ConnectionOptions, firstReconnectMs: number): IClientOptions {
  const { version = '3.1.1', persistentSession = true, username, password, will } = options;
  const five = version === '5';
  return {
    ...options.tls,
    clientId: options.clientId,
    protocolVersion: five ? 5 : 4,
    clean: !persistentSession,
    keepalive: options.keepaliveS ?? 60,
    connectTimeout: options.connectTimeoutMs ?? 30_000,
    reconnectPeriod: firstReconnectMs,
    // A changed password or a broker that starts up may make the next attempt a success.
    reconnectOnConnackError: true,
    // Subscriptions and the queue of publishes are ours (connection.ts, outbox.ts).
    resubscribe: false,
    queueQoSZero: false,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(will !== undefined && { will: { ...will, payload: Buffer.from(will.payload as string) } }),
    ...(five && {
      properties: {
        receiveMaximum: options.maxUnacknowledged ?? 1000,
        sessionExpiryInterval: persistentSession ? (options.sessionExpiryS ?? SEVEN_DAYS_S) : 0,
      },
    }),
  } as IClientOptions;
}
