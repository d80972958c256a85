import { join } from 'node:path';
import type { Settings } from './settings.js';

/** The package's own folder: one above dist/. */
export const PACKAGE_ROOT = join(__dirname, '..', '..');

interface LogEntry {
  level: number;
  type?: string;
  name?: string;
  id?: string;
  msg: unknown;
  timestamp: number;
}

// Node-RED's levels: fatal 10, error 20, warn 30, info 40.
const LEVEL_NAMES: Record<number, string> = { 10: 'fatal', 20: 'error', 30: 'warn', 40: 'info' };
const WARN = 30;

/** Warnings of all, information of our own nodes: what Node-RED says at each start is noise here. */
function logLine(entry: LogEntry): void {
  const ours = entry.type?.startsWith('fieldloom-') ?? false;
  if (entry.level > WARN && !ours) return;
  const text = entry.msg instanceof Error ? entry.msg.message : String(entry.msg);
  // Said as a warning of what we have chosen ourselves.
  if (text.startsWith('Projects disabled')) return;
  const source = entry.type === undefined ? '' : `[${entry.type}:${entry.name ?? entry.id}] `;
  const line = `${new Date(entry.timestamp).toISOString()} ${LEVEL_NAMES[entry.level] ?? 'info'} ${source}${text}`;
  if (entry.level <= WARN) console.error(line);
  else console.log(line);
}

export interface EditorLogin {
  username: string;
  verify(password: string): Promise<boolean>;
}

/** Node-RED's settings. Nothing in them lets the editor or the runtime ask another host. */
export function nodeRedSettings(
  settings: Settings,
  credentialSecret: string,
  login: EditorLogin | undefined,
) {
  const user = login && { username: login.username, permissions: '*' };
  return {
    userDir: settings.directory,
    flowFile: 'flows.json',
    flowFilePretty: true,
    // This checkout's palette; that of the dashboard is found beside Node-RED.
    nodesDir: PACKAGE_ROOT,
    credentialSecret,
    httpAdminRoot: '/',
    httpNodeRoot: '/',
    uiHost: settings.host,
    uiPort: settings.port,
    // A node may take this long to close; the whole stop has 10 s.
    nodeCloseTimeout: 7000,
    ...(login && {
      adminAuth: {
        type: 'credentials',
        users: async (username: string) => (username === login.username ? user : null),
        authenticate: async (username: string, password: string) =>
          username === login.username && (await login.verify(password)) ? user : null,
      },
    }),
    telemetry: { enabled: false, updateNotification: false },
    logging: {
      console: { level: 'off', metrics: false, audit: false },
      lines: { level: 'info', metrics: false, audit: false, handler: () => logLine },
    },
    editorTheme: {
      page: { title: 'Fieldloom' },
      header: { title: 'Fieldloom' },
      palette: { catalogues: [], categories: ['subflows', 'fieldloom', 'common', 'function', 'network'] },
      projects: { enabled: false },
      tours: false,
    },
  };
}
