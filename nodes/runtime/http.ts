import type { IncomingMessage, ServerResponse } from 'node:http';
import type { NodeAPI } from 'node-red';
import { asError, FieldloomError } from '../../lib/core/errors.js';
import { problem } from '../../lib/web/problem.js';
import type { Answer, FailedRequest, Route } from '../../lib/web/route.js';
import { createPathTable, isApiPath } from '../../lib/web/router.js';
import { DATA_HEADERS } from '../../lib/web/security-headers.js';
import { guardOf, mayActWithoutToken, mayReadWithoutToken, whoAsks } from './guard.js';
import { readFileBody, readFormBody, readJsonBody } from './http-body.js';
import { bodyStream, dropBody, sendStream } from './http-stream.js';

/** The part of an Express request that we lean on. */
type HttpRequest = IncomingMessage & {
  path: string;
  query: unknown;
  url: string;
  _body?: boolean;
  body?: unknown;
};
type Next = (error?: unknown) => void;

export interface Routes {
  /** Serves these from now on. @returns what takes them away again */
  add(routes: readonly Route[]): () => void;
  /** How many are served. */
  readonly size: number;
}

function write(response: ServerResponse, answer: Answer, withBody: boolean) {
  const { body, stream } = answer;
  if (response.headersSent || response.destroyed) {
    stream?.close();
    return;
  }
  response.statusCode = answer.status;
  response.setHeader('Cache-Control', 'no-store');
  for (const [name, value] of Object.entries(DATA_HEADERS)) response.setHeader(name, value);
  const raw = Buffer.isBuffer(body);
  if (body !== undefined && !raw) response.setHeader('Content-Type', 'application/json; charset=utf-8');
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
  if (stream !== undefined) {
    sendStream(response, stream, withBody);
    return;
  }
  if (!withBody || body === undefined) response.end();
  else response.end(raw ? body : JSON.stringify(body));
}

/** Answers an unknown path of the API with 404 as JSON; leaves every other to who comes next. */
export function unknownApiPath(
  request: IncomingMessage & { path?: string },
  response: ServerResponse,
  next: Next,
) {
  const path = request.path ?? '/';
  if (!isApiPath(path)) return next();
  request.resume();
  write(response, problem(new FieldloomError('not_found', `there is nothing at ${path}`)), true);
}

interface Registry extends Routes {
  handle(request: HttpRequest, response: ServerResponse, next: Next): void;
}

function createRegistry(RED: NodeAPI): Registry {
  const table = createPathTable<Route>();

  async function admit(route: Route, request: HttpRequest) {
    if (typeof route.access === 'function') {
      route.access(request.headers);
      return undefined;
    }
    const guard = guardOf(RED);
    const principal = await whoAsks(guard, request);
    if (principal === undefined) {
      if (route.access === 'read') {
        mayReadWithoutToken(guard, request);
        if (route.method !== 'GET') mayActWithoutToken(guard, request);
      } else if (route.access !== 'open') throw new FieldloomError('unauthenticated', 'a token is wanted');
    } else if (route.access === 'admin' && !principal.admin) {
      throw new FieldloomError('forbidden', 'only an admin may do this');
    }
    return principal;
  }

  async function answer(
    request: HttpRequest,
    found: { value: Route; parameters: Record<string, string> },
    asked: FailedRequest,
  ): Promise<Answer> {
    asked.principal = await admit(found.value, request);
    const { body = 'json', maxBodyBytes } = found.value;
    const read = { json: readJsonBody, form: readFormBody, file: readFileBody, stream: () => undefined }[
      body
    ];
    return found.value.handle({
      ...asked,
      method: found.value.method,
      parameters: found.parameters,
      query: new URL(request.url, 'http://gateway').searchParams,
      headers: request.headers,
      body: await read(request, maxBodyBytes),
      stream: body === 'stream' ? bodyStream(request) : undefined,
    });
  }

  return {
    add(routes) {
      const removals = routes.map((route) => table.add(route.path, route));
      return () => {
        for (const remove of removals) remove();
      };
    },
    get size() {
      return table.size;
    },
    handle(request, response, next) {
      const withBody = request.method !== 'HEAD';
      const asked: FailedRequest = {
        method: request.method ?? '',
        path: request.path,
        address: request.socket.remoteAddress ?? '',
        principal: undefined,
      };
      const fail = (error: unknown, route?: Route) => {
        dropBody(request);
        const answered = problem(error);
        // What is our own fault tells the client nothing: the reason is for the log.
        if (answered.status === 500)
          RED.log.error(`${request.method} ${request.path}: ${asError(error).stack}`);
        write(response, route?.problem?.(error, asked) ?? answered, withBody);
      };
      let found: ReturnType<typeof table.find>;
      try {
        found = table.find(request.path);
      } catch (error) {
        // A broken percent-encoding: whose path it would have been still tells how the answer is worded.
        return fail(error, table.find(request.path.replaceAll('%', ''))[0]?.value);
      }
      if (found.length === 0) return next();
      const method = withBody ? request.method : 'GET';
      const matching = found.find(({ value }) => value.method === method);
      if (matching === undefined) {
        const allowed = [...new Set(found.map(({ value }) => value.method))].join(', ');
        response.setHeader('Allow', allowed);
        return fail(
          new FieldloomError(
            'method_not_allowed',
            `${request.method} ${request.path}: accepted is ${allowed}`,
          ),
          found[0]?.value,
        );
      }
      answer(request, matching, asked).then(
        (done) => write(response, done, withBody),
        (error) => fail(error, matching.value),
      );
    },
  };
}

const registries = new WeakMap<object, Registry>();

/**
 * The REST routes of this runtime. One handler is mounted on httpNode, once; it looks the live routes up per
 * request, so that redeploys leave nothing behind.
 */
export function routes(RED: NodeAPI): Routes {
  let registry = registries.get(RED.httpNode);
  if (registry === undefined) {
    registry = createRegistry(RED);
    registries.set(RED.httpNode, registry);
    RED.httpNode.use(registry.handle as never);
  }
  return registry;
}
