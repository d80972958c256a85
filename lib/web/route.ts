import type { UserPrincipal } from '../access/principal.js';

/**
 * One REST endpoint as data. It knows nothing of Express: nodes/runtime mounts it, reads and limits the body, finds
 * out who asks, and turns what `handle` throws into an answer with `problem` (problem.ts).
 */
export interface Route {
  method: Method;
  /** Express style, parameters with a colon: `/access/clients/:username`. */
  path: string;
  access: RouteAccess | Admission;
  /** Larger bodies are refused with 413; default 1 MiB. */
  maxBodyBytes?: number;
  /**
   * `json` (the default): read, limited and parsed. `form`: the same for `application/x-www-form-urlencoded`; the body
   * is then a `Record<string, string>`. `file`: JSON as for `json` where the type says so, else a Buffer. `stream`: `handle` takes it from `request.stream` as it comes.
   */
  body?: 'json' | 'form' | 'file' | 'stream';
  /** The answer. @throws FieldloomError, mapped to a status and a body by problem.ts */
  handle(request: Request): Promise<Answer>;
  /** How a failed request is answered where this path has words of its own; else by `problem` of problem.ts. */
  problem?(thrown: unknown, request: FailedRequest): Answer;
}

/** What is known of a request that failed, perhaps before anybody looked into it. */
export type FailedRequest = Pick<Request, 'method' | 'path' | 'address' | 'principal'>;

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/**
 * Who comes through to `handle`:
 * - `open`: anyone; a token that was sent all the same must be good.
 * - `read`: with a token, or without one where ACCESS=open (access.md "People and programs").
 * - `user`: only with a token.
 * - `admin`: only with an admin's token.
 */
export type RouteAccess = 'open' | 'read' | 'user' | 'admin';

/**
 * For programs that have a credential of another kind: called before the body is read; `Authorization` is then not
 * taken for a token. @throws FieldloomError unauthenticated
 */
export type Admission = (headers: Request['headers']) => void;

export interface Request {
  method: string;
  /** As it came, without the query. */
  path: string;
  /** From the path, decoded. */
  parameters: Readonly<Record<string, string>>;
  query: URLSearchParams;
  /** Names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Parsed JSON, the fields of a form, or the bytes of a file; undefined where there was no body. Nobody has checked its shape yet. */
  body: unknown;
  /**
   * The raw bytes of the body, for a route whose `body` is `stream`; undefined for any other. It ends with an error
   * where the client goes away or sends nothing for a minute. What is not taken from it is never read into memory.
   */
  stream?: AsyncIterable<Uint8Array> | undefined;
  /** Undefined where no token was sent. Always there for `user` and `admin`. */
  principal: UserPrincipal | undefined;
  /** Remote address, for limits. */
  address: string;
}

export interface Answer {
  status: number;
  /** Sent as JSON; undefined: no body. A Buffer goes out as it is, with the content type that `headers` names. */
  body?: unknown;
  /** Instead of a body: sent piece by piece. `headers` say how long it is. */
  stream?: AnswerStream;
  headers?: Readonly<Record<string, string>>;
}

export interface AnswerStream {
  /**
   * Writes the body. Not called where none is wanted (HEAD).
   * @param write fulfils when the client's connection has taken the piece, whose memory may then be used again;
   *   rejects where the client went away or takes nothing for a minute
   */
  send(write: (piece: Uint8Array) => Promise<void>): Promise<void>;
  /** Called once, when the answer is over, sent or not: gives back what it held. It throws nothing. */
  close(): Promise<void> | void;
}
