/** The part of the helper that our tests use; the package has no types of its own. */
declare module 'node-red-node-test-helper' {
  import type { Node } from 'node-red';

  interface LogEntry {
    level: number;
    id?: string;
    msg: unknown;
  }

  const helper: {
    init(runtimePath: string, settings?: object): void;
    startServer(callback: (error?: Error) => void): void;
    stopServer(callback: () => void): void;
    load(modules: unknown, flow: object[], credentials: Record<string, object>): Promise<void>;
    unload(): Promise<void>;
    getNode(id: string): Node;
    log(): { args: [LogEntry][]; ERROR: number };
  };
  export default helper;
}
