/** Where the library reports; nodes give Node-RED's own log, the command line gives stderr. */
export interface Log {
  debug(text: string): void;
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
