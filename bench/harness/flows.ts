import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Access } from '../../lib/access/access.js';
import { openStore } from '../../lib/store/open.js';
import type { Protocol } from './messages.js';

interface Login {
  username: string;
  password: string;
}

/** What a run gives to its candidate. */
export interface Places {
  directory: string;
  /** URL of the broker. */
  broker: string;
  /** URL of an empty database. */
  database: string;
}

/** One candidate of a run: a process, and where its committed rows can be counted. */
export interface MeasuredFlow {
  clientId: string;
  script: string;
  settings(places: Places): unknown;
  /** What must exist before the process starts; gives the publisher's logins where the broker wants some. */
  prepare?(places: Places): Promise<Login[] | undefined>;
  /** Where its rows are. */
  rows?: { database(places: Places): string; table: string };
  /** The process itself counts what it takes. */
  counts?: boolean;
  /** The broker's acknowledgement says nothing of the row. */
  acknowledgesFirst?: boolean;
}

/** Connections over which the embedded broker is fed. */
export const PUBLISHERS = 50;

/** What differs between the protocols that are measured. */
interface Measured {
  filter: string;
  /** Our node, and the table that it writes one row a message to. */
  node: Record<string, unknown> & { id: string };
  table: string;
  /** The peer's function and table. */
  func: string[];
  columns: string;
  insert: string;
}

const onTab = { z: 'bench-tab', connection: 'connection', store: 'store' };
const MEASURED: Readonly<Record<Protocol, Measured>> = {
  telemetry: {
    filter: 'company/+/machine/+/telemetry',
    node: { id: 'telemetry', type: 'fieldloom-telemetry-store', ...onTab, wires: [[], [], []] },
    table: 'solar_telemetry',
    func: [
      'const p = msg.payload;',
      'const [, c, , m] = msg.topic.split("/");',
      'msg.params = { $c: c, $m: m, $b: p.battery, $v: p.solar_v, $a: p.solar_a, $w: p.water,',
      '  $e: JSON.stringify(p.extra), $at: Date.now() };',
      'return msg;',
    ],
    columns: 'company, machine, battery, solar_v, solar_a, water, extra, received',
    insert: 'insert into state values ($c, $m, $b, $v, $a, $w, $e, $at)',
  },
  laundry: {
    filter: '/stores/+/controllers/+/metrics',
    node: { id: 'machine-state', type: 'fieldloom-machine-state', ...onTab, wires: [[], [], [], []] },
    table: 'message',
    func: [
      'const p = msg.payload;',
      'const m = p.payload.machines[0];',
      'msg.params = { $s: p.store_id, $c: p.controller_id, $r: m.relay_id, $t: m.machine_type,',
      '  $st: m.status, $u: m.last_updated, $at: Date.now() };',
      'return msg;',
    ],
    columns: 'store, controller, relay, type, status, updated, received',
    insert: 'insert into state values ($s, $c, $r, $t, $st, $u, $at)',
  },
};

export const filterOf = (protocol: Protocol): string => MEASURED[protocol].filter;
export const nodeNameOf = (protocol: Protocol): string => String(MEASURED[protocol].node['type']);

const PACKAGE = join(__dirname, '../../..');
const PEERS = join(PACKAGE, 'bench/peers/node_modules/node-red-node-sqlite');
const ownRows = (protocol: Protocol) => ({
  database: ({ database }: Places) => database,
  table: MEASURED[protocol].table,
});
const peerFile = (directory: string) => join(directory, 'peer.db');
const PEER_ROWS = { database: ({ directory }: Places) => `sqlite:${peerFile(directory)}`, table: 'state' };

const tab = { id: 'bench-tab', type: 'tab', label: 'bench' };
const store = (url: string) => ({ id: 'store', type: 'fieldloom-store', url });
const access = { id: 'access', type: 'fieldloom-access', store: 'store', mode: 'token', directory: '' };
const connection = (kind: 'external' | 'embedded', url: string, clientId: string) => ({
  id: 'connection',
  type: 'fieldloom-connection',
  kind,
  url,
  clientId,
  protocolVersion: '4',
  clean: false,
  keepalive: '60',
  unacknowledged: '1000',
});
const broker = (url: string) => ({
  id: 'broker',
  type: 'fieldloom-broker',
  z: 'bench-tab',
  connection: 'connection',
  access: 'access',
  store: 'store',
  host: '127.0.0.1',
  port: new URL(url).port,
  wires: [[], []],
});

/**
 * What a user of Node-RED builds today: mqtt in -> json -> function -> sqlite. A persistent session is what a queue is
 * drained by; with a clean one nothing is written for it at the broker, which is to the peer's favour.
 */
const ownNodes = (
  protocol: Protocol,
  directory: string,
  url: string,
  session: 'clean' | 'persistent',
  login?: Login,
) => ({
  flow: [
    {
      id: 'peer-broker',
      type: 'mqtt-broker',
      broker: '127.0.0.1',
      port: new URL(url).port,
      clientid: 'peer',
      autoConnect: true,
      protocolVersion: '4',
      keepalive: '60',
      cleansession: session === 'clean',
    },
    {
      id: 'peer-in',
      type: 'mqtt in',
      z: 'bench-tab',
      topic: MEASURED[protocol].filter,
      qos: '1',
      datatype: 'utf8',
      broker: 'peer-broker',
      inputs: 0,
      wires: [['peer-json']],
    },
    {
      id: 'peer-json',
      type: 'json',
      z: 'bench-tab',
      property: 'payload',
      action: 'obj',
      wires: [['peer-function']],
    },
    {
      id: 'peer-function',
      type: 'function',
      z: 'bench-tab',
      func: MEASURED[protocol].func.join('\n'),
      outputs: 1,
      wires: [['peer-sqlite']],
    },
    {
      id: 'peer-sqlite',
      type: 'sqlite',
      z: 'bench-tab',
      mydb: 'peer-db',
      sqlquery: 'prepared',
      sql: MEASURED[protocol].insert,
      wires: [[]],
    },
    { id: 'peer-db', type: 'sqlitedb', db: peerFile(directory), mode: 'RWC' },
  ],
  credentials: login ? { 'peer-broker': { user: login.username, password: login.password } } : {},
});

/** The peer's table, in the journal mode that is faster for it; each insert is committed by itself. */
function makePeerTable(protocol: Protocol, directory: string): void {
  const database = new DatabaseSync(peerFile(directory));
  database.exec('pragma journal_mode = wal');
  database.exec(`create table state (${MEASURED[protocol].columns})`);
  database.close();
}

async function addServices(database: string, count: number): Promise<Login[]> {
  const opened = await openStore(database);
  const access = await Access.open(opened);
  const logins: Login[] = [];
  while (logins.length < count) logins.push(await access.addClient({ role: 'service' }));
  access.close();
  await opened.close();
  return logins;
}

/** Our nodes on another broker. */
export const gatewayFlow = (protocol: Protocol, clientId: string): MeasuredFlow => ({
  clientId,
  script: 'node-red-process.js',
  settings: ({ directory, broker: url, database }) => ({
    userDir: directory,
    nodesDir: [PACKAGE],
    flow: [tab, store(database), connection('external', url, clientId), MEASURED[protocol].node],
  }),
  rows: ownRows(protocol),
});

/** Node-RED's own nodes on another broker. */
export const nodeRedOwnFlow = (protocol: Protocol, clientId: string): MeasuredFlow => ({
  clientId,
  script: 'node-red-process.js',
  settings: ({ directory, broker: url }) => {
    const { flow } = ownNodes(protocol, directory, url, 'persistent');
    return { userDir: directory, nodesDir: [PEERS], flow: [tab, ...flow] };
  },
  prepare: async ({ directory }) => {
    makePeerTable(protocol, directory);
    return undefined;
  },
  rows: PEER_ROWS,
});

/**
 * The embedded broker with our node behind it, with Node-RED's own nodes connected to it, or with nobody.
 */
export function embeddedBrokerFlow(protocol: Protocol, behind: 'ours' | 'peer' | 'drop'): MeasuredFlow {
  let login: Login | undefined;
  return {
    clientId: behind,
    script: 'node-red-process.js',
    settings: ({ directory, broker: url, database }) => {
      const foundation = [tab, store(database), access, connection('embedded', url, ''), broker(url)];
      const settings = { userDir: directory, nodesDir: [PACKAGE, PEERS] };
      if (behind === 'ours') return { ...settings, flow: [...foundation, MEASURED[protocol].node] };
      if (behind === 'drop') return { ...settings, flow: foundation };
      const { flow, credentials } = ownNodes(protocol, directory, url, 'clean', login);
      return { ...settings, flow: [...foundation, ...flow], credentials };
    },
    prepare: async ({ directory, database }) => {
      if (behind === 'peer') {
        makePeerTable(protocol, directory);
        [login] = await addServices(database, 1);
      }
      return addServices(database, PUBLISHERS);
    },
    acknowledgesFirst: behind === 'peer',
    ...(behind === 'drop' ? {} : { rows: behind === 'ours' ? ownRows(protocol) : PEER_ROWS }),
  };
}

/** aedes alone, which the embedded broker is made of, without logins and sessions. */
export const bareBrokerFlow: MeasuredFlow = {
  clientId: 'aedes',
  script: 'aedes-process.js',
  settings: ({ broker: url }) => ({ port: Number(new URL(url).port) }),
};
