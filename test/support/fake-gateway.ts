import { Api, type SendFile } from '../../client/api.js';

export type Answer = { status?: number; body: unknown };

export interface Asked {
  method: string;
  /** Below the root, with its query. */
  path: string;
  token: string | undefined;
  idempotencyKey: string | undefined;
  body: unknown;
}

/** Lets everything that is ready happen: answers here never wait for anything else. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
}

/** @param answer undefined where the gateway does not answer */
export function apiOf(
  answer: (asked: Asked) => Answer | undefined | Promise<Answer | undefined>,
  sendFile?: SendFile,
): Api {
  const values = new Map<string, string>();
  return new Api({
    root: 'http://gateway/',
    storage: {
      getItem: (key) => values.get(key) ?? null,
      setItem: (key, value) => void values.set(key, value),
      removeItem: (key) => void values.delete(key),
    },
    ...(sendFile !== undefined && { sendFile }),
    async fetch(input, init) {
      const headers = new Headers(init?.headers);
      const given = await answer({
        method: init?.method ?? 'GET',
        path: String(input).replace('http://gateway/', ''),
        token: headers.get('authorization') ?? undefined,
        idempotencyKey: headers.get('idempotency-key') ?? undefined,
        body: init?.body === undefined ? undefined : JSON.parse(String(init.body)),
      });
      if (given === undefined) throw new TypeError('connection refused');
      return new Response(JSON.stringify(given.body), { status: given.status ?? 200 });
    },
  });
}

/** What a page's live feeds are connected to, by the end of their address. */
export class Sockets {
  readonly open = new Map<string, Socket>();

  connect(url: string): Socket {
    const name = url.split('/').at(-1) ?? '';
    const socket = new Socket(() => this.open.delete(name));
    this.open.set(name, socket);
    return socket;
  }
}

export class Socket {
  private readonly listeners = new Map<string, (event: never) => void>();

  constructor(private readonly onClose: () => void) {}

  addEventListener(type: string, listener: (event: never) => void): void {
    this.listeners.set(type, listener);
  }

  say(message: object): void {
    this.listeners.get('message')?.({ data: JSON.stringify(message) } as never);
  }

  /** The gateway ends it. */
  end(code: number): void {
    this.listeners.get('close')?.({ code } as never);
  }

  close(): void {
    this.onClose();
  }
}
