/** A refusal by the gateway, or no answer at all (`status` 0, code `unreachable`). */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  /** JSON pointer of the field that is wrong, where the gateway names one. */
  readonly pointer: string | undefined;

  constructor(status: number, code: string, message: string, pointer?: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.pointer = pointer;
  }
}

/** True where the gateway did not answer, as opposed to answering with a refusal. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof ApiError && error.status === 0;
}

/** What a page shows of a failure. */
export interface Problem {
  code: string;
  message: string;
}

/** An error of the page itself counts as a failure too (`status` -1, code `page_failed`). */
export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(-1, 'page_failed', String(error));
}

export function problemOf(error: unknown): Problem {
  const { code, message } = asApiError(error);
  return { code, message };
}

/**
 * What a refusal of something that was pressed means to who pressed it.
 * @param forbidden what to say where the login has not the right
 */
export function refusalText(status: number, message: string, forbidden: string): string {
  if (status === 401) return 'It wants a login.';
  return status === 403 ? forbidden : message;
}

/** Where a login lasts: `sessionStorage` in a browser, so that it ends with the tab. */
export interface LoginStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** Sends a file as the body of a POST and tells how far it is; `fetch` cannot. Rejects where there is no answer. */
export type SendFile = (
  url: string,
  headers: Readonly<Record<string, string>>,
  file: Blob,
  ports: { onProgress(bytes: number): void; signal: AbortSignal },
) => Promise<{ status: number; text: string }>;

export interface ApiOptions {
  /** Root of the REST paths, ending in a slash, for example `http://127.0.0.1:1880/`. */
  root: string;
  storage: LoginStorage;
  fetch?: typeof globalThis.fetch;
  sendFile?: SendFile;
  /** An answer that takes longer counts as unreachable, ms. */
  timeoutMs?: number;
}

interface Login {
  username: string;
  access: string;
  refresh: string;
}

interface Ask {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  body?: unknown;
  /** The same for every attempt at one thing: the gateway then does it once. */
  idempotencyKey?: string;
  /** Wants the outcome, for at most so many seconds (`Prefer: wait`). */
  waitS?: number;
}

const STORAGE_KEY = 'fieldloom.login';

/** REST client: JSON in and out, bearer token with refresh, every failure an ApiError. */
export class Api {
  private readonly options: ApiOptions;
  private refreshing: Promise<boolean> | undefined;

  constructor(options: ApiOptions) {
    this.options = options;
  }

  get loggedIn(): boolean {
    return this.readLogin() !== undefined;
  }

  /** Who is logged in. */
  get username(): string | undefined {
    return this.readLogin()?.username;
  }

  /** @throws ApiError 401 where name or password is wrong */
  async login(username: string, password: string): Promise<void> {
    const answer = await this.send('api/token/', { method: 'POST', body: { username, password } });
    this.writeLogin({ ...(answer as Login), username });
  }

  logout(): void {
    this.options.storage.removeItem(STORAGE_KEY);
  }

  /**
   * One request below the root. A 401 with a login at hand refreshes it once and asks again.
   * @param path without leading slash, encoded
   * @throws ApiError
   */
  request(path: string, ask: Ask = {}): Promise<unknown> {
    return this.asked((access) => this.send(path, ask, access));
  }

  /** The same for what is no JSON: a file that the gateway makes. @throws ApiError */
  async text(path: string): Promise<string> {
    return (await this.asked((access) => this.fetched(path, {}, access))).text;
  }

  /**
   * Sends a file as the body of a POST. The login has to be good: it is not refreshed on the way, since the file would
   * have to be sent twice.
   * @param path without leading slash, encoded
   * @throws ApiError
   */
  async upload(path: string, file: Blob, ports: Parameters<SendFile>[3]): Promise<unknown> {
    const { root, sendFile } = this.options;
    if (sendFile === undefined) throw new ApiError(0, 'unreachable', 'Files cannot be sent from here.');
    const access = this.readLogin()?.access;
    const headers = {
      accept: 'application/json',
      'content-type': 'application/octet-stream',
      ...(access !== undefined && { authorization: `Bearer ${access}` }),
    };
    const answer = await sendFile(root + path, headers, file, ports).catch(() => {
      throw new ApiError(0, 'unreachable', 'The gateway does not answer.');
    });
    if (answer.status < 200 || answer.status > 299) throw refusal(answer.status, answer.text);
    return parseJson(answer.text);
  }

  /** A one-time ticket for a WebSocket, or undefined where nobody is logged in (enough with ACCESS=open). */
  async ticket(): Promise<string | undefined> {
    if (!this.loggedIn) return undefined;
    const answer = (await this.request('api/ws-ticket', { method: 'POST' })) as { ticket: string };
    return answer.ticket;
  }

  /** True where a fresh access token is at hand afterwards; several requests at once refresh once. */
  private refresh(used: string): Promise<boolean> {
    const login = this.readLogin();
    if (login === undefined) return Promise.resolve(false);
    if (login.access !== used) return Promise.resolve(true);
    this.refreshing ??= this.send('api/token/refresh/', { method: 'POST', body: { refresh: login.refresh } })
      .then(
        (answer) => {
          this.writeLogin({ ...login, ...(answer as Partial<Login>) });
          return true;
        },
        (error: unknown) => {
          // A gateway that is merely away must not log the person out.
          if (error instanceof ApiError && (error.status === 401 || error.status === 403)) this.logout();
          return false;
        },
      )
      .finally(() => {
        this.refreshing = undefined;
      });
    return this.refreshing;
  }

  private async asked<Answer>(ask: (access: string | undefined) => Promise<Answer>): Promise<Answer> {
    const used = this.readLogin()?.access;
    try {
      return await ask(used);
    } catch (error) {
      const expired = error instanceof ApiError && error.status === 401 && used !== undefined;
      if (!expired || !(await this.refresh(used))) throw error;
      return ask(this.readLogin()?.access);
    }
  }

  private async send(path: string, ask: Ask, access?: string): Promise<unknown> {
    const { status, text } = await this.fetched(path, ask, access);
    if (text === '') return undefined;
    const answer = parseJson(text);
    if (answer === undefined) {
      throw new ApiError(status, 'invalid_answer', 'The answer is not JSON: is this a Fieldloom gateway?');
    }
    return answer;
  }

  private async fetched(
    path: string,
    ask: Ask,
    access: string | undefined,
  ): Promise<{ status: number; text: string }> {
    const { method = 'GET', body, idempotencyKey, waitS } = ask;
    const { root, fetch = globalThis.fetch, timeoutMs = 10_000 } = this.options;
    const headers: Record<string, string> = { accept: 'application/json' };
    if (access !== undefined) headers['authorization'] = `Bearer ${access}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey;
    if (waitS !== undefined) headers['prefer'] = `wait=${waitS}`;
    let response: Response;
    let text: string;
    try {
      response = await fetch(root + path, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeoutMs),
      });
      text = await response.text();
    } catch {
      throw new ApiError(0, 'unreachable', 'The gateway does not answer.');
    }
    if (!response.ok) throw refusal(response.status, text);
    return { status: response.status, text };
  }

  private readLogin(): Login | undefined {
    const login = parseJson(this.options.storage.getItem(STORAGE_KEY) ?? '') as Partial<Login> | undefined;
    return typeof login?.username === 'string' &&
      typeof login.access === 'string' &&
      typeof login.refresh === 'string'
      ? (login as Login)
      : undefined;
  }

  private writeLogin({ username, access, refresh }: Login): void {
    this.options.storage.setItem(STORAGE_KEY, JSON.stringify({ username, access, refresh }));
  }
}

/**
 * The gateway's problem answers, those of the pond API (`success`, `error` as text; seed: pond-command-flow, Error
 * Response Examples) and of its token endpoint (`detail`), and answers of whatever stands between.
 */
function refusal(status: number, text: string): ApiError {
  const body = parseJson(text) as
    | {
        error?: { code?: string; message?: string; details?: { pointer?: string } } | string;
        detail?: string;
      }
    | null
    | undefined;
  const said = typeof body?.error === 'string' ? { message: body.error } : (body?.error ?? {});
  const {
    code = status === 401 ? 'unauthenticated' : `http_${status}`,
    details,
  }: { code?: string; details?: { pointer?: string } } = said;
  const message = said.message ?? body?.detail ?? `The gateway answered with status ${status}.`;
  return new ApiError(status, code, message, details?.pointer);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
