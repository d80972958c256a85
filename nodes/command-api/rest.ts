import type { UserPrincipal } from '../../lib/access/principal.js';
import { feedOrder, type Pond, type PondOrder, waterOrder } from '../../lib/command/pond.js';
import {
  type ExecutionWithCommand,
  formatAlert,
  formatControlled,
  formatExecution,
  formatReading,
} from '../../lib/command/pond-format.js';
import type { Alert } from '../../lib/command/ports.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { pondProblem } from '../../lib/web/pond-problem.js';
import { idempotencyKey, preferredWait } from '../../lib/web/preferences.js';
import { booleanParameter, limitParameter, spanParameters, textParameter } from '../../lib/web/query.js';
import type { Answer, Method, Request, Route } from '../../lib/web/route.js';
import type { ProvidedDevices } from '../device-events/provided.js';
import type { PondRest } from './ports.js';
import { checkOwner, idOf, ownPond, pondView } from './view.js';

const ok = (body: unknown, headers: Record<string, string> = {}): Answer => ({ status: 200, body, headers });

/** The runtime lets nobody without a token through to `user` routes. */
function userOf({ principal }: Request): UserPrincipal {
  if (principal === undefined) throw new FieldloomError('unauthenticated', 'a token is wanted');
  return principal;
}

function pageOf(query: URLSearchParams): { limit: number; cursor?: string } {
  const cursor = textParameter(query, 'cursor');
  return { limit: limitParameter(query), ...(cursor !== undefined && { cursor }) };
}

/**
 * The pond API (seed: pond-command-flow, 2; contract.md "REST"). Every path wants a token, and every error is
 * answered in the seed's words.
 */
export function pondRoutes(rest: PondRest): Route[] {
  const route = (method: Method, path: string, handle: Route['handle']): Route => ({
    method,
    path,
    access: 'user',
    handle,
    problem(thrown, request) {
      const answer = pondProblem(thrown);
      rest.refused(request, answer);
      return answer;
    },
  });
  const pondOf = (request: Request) => ownPond(rest.ponds(), request.parameters['pond_id'], userOf(request));

  async function executionOf(request: Request): Promise<ExecutionWithCommand> {
    const id = idOf(request.parameters['execution_id']);
    const found = id === undefined ? undefined : await rest.executions().execution(id);
    const pond = found && (await rest.ponds().find(found.execution.pondId));
    if (found === undefined || pond === undefined) {
      throw new FieldloomError('not_found', 'Execution not found');
    }
    checkOwner(userOf(request), pond);
    return found;
  }

  /** An alert of a device as a whole is every pond's of it. */
  async function alertOf(request: Request, devices: ProvidedDevices | undefined): Promise<Alert> {
    const alert = await devices?.queries.alert(request.parameters['alert_id'] ?? '');
    const ponds = alert === undefined ? [] : await rest.ponds().ofDevice(alert.device, alert.position);
    const [first] = ponds;
    if (alert === undefined || first === undefined) throw new FieldloomError('not_found', 'Alert not found');
    const user = userOf(request);
    checkOwner(user, ponds.find(({ ownerId }) => ownerId === user.userId) ?? first);
    return alert;
  }

  const control = (path: string, orderOf: (pond: Pond, body: unknown, now: number) => PondOrder): Route =>
    route('POST', path, async (request) => {
      const pond = await pondOf(request);
      const key = idempotencyKey(request.headers);
      const waitS = preferredWait(request.headers);
      const order = orderOf(pond, request.body, rest.clock.now());
      const { execution, command, repeated } = await rest.control().control({
        pond,
        userId: userOf(request).userId,
        order,
        ...(key !== undefined && {
          idempotency: { key, request: { path, pond: pond.pondId, body: request.body ?? {} } },
        }),
      });
      const headers = repeated ? { 'Idempotent-Replayed': 'true' } : {};
      if (waitS === undefined) return ok(formatControlled(pond, execution), headers);
      await rest.dispatcher().outcome(command.id, waitS * 1000);
      const outcome = await rest.executions().execution(execution.executionId);
      return ok(formatControlled(pond, execution, outcome), {
        ...headers,
        'Preference-Applied': `wait=${waitS}`,
      });
    });

  return [
    control('/automation/ponds/:pond_id/control/feed/', feedOrder),
    control('/automation/ponds/:pond_id/control/water/', (_pond, body, now) => waterOrder(body, now)),

    route('GET', '/automation/ponds/', async (request) => {
      const user = userOf(request);
      const page = await rest.ponds().page({
        ...pageOf(request.query),
        ...(!user.admin && { ownerId: user.userId }),
      });
      const items = await Promise.all(page.items.map((pond) => pondView(rest, pond)));
      return ok({ items, next_cursor: page.next_cursor });
    }),

    route('GET', '/automation/ponds/:pond_id/', async (request) =>
      ok(await pondView(rest, await pondOf(request))),
    ),

    route('GET', '/automation/ponds/:pond_id/executions/', async (request) => {
      const { pondId } = await pondOf(request);
      const page = await rest.executions().executionsOf(pondId, pageOf(request.query));
      return ok({ items: page.items.map(formatExecution), next_cursor: page.next_cursor });
    }),

    route('GET', '/automation/ponds/:pond_id/readings/', async (request) => {
      const { device, position } = await pondOf(request);
      const asked = { ...spanParameters(request.query), ...pageOf(request.query) };
      const page = await rest.devices()?.queries.readings(device, position, asked);
      return ok({ items: (page?.items ?? []).map(formatReading), next_cursor: page?.nextCursor ?? null });
    }),

    route('GET', '/automation/ponds/:pond_id/alerts/', async (request) => {
      const { device, position } = await pondOf(request);
      const open = booleanParameter(request.query, 'open') ?? false;
      const limit = limitParameter(request.query);
      const alerts = await rest.devices()?.queries.alerts(device, position, { open, limit });
      return ok({ items: (alerts ?? []).map(formatAlert), next_cursor: null });
    }),

    route('POST', '/automation/alerts/:alert_id/acknowledge/', async (request) => {
      const devices = rest.devices();
      const { alertId } = await alertOf(request, devices);
      const alert = await (devices as ProvidedDevices).acknowledge(alertId, userOf(request).username);
      return ok({ success: true, data: formatAlert(alert) });
    }),

    route('GET', '/automation/executions/:execution_id/', async (request) =>
      ok(formatExecution(await executionOf(request))),
    ),

    route('POST', '/automation/executions/:execution_id/cancel/', async (request) => {
      const found = await executionOf(request);
      await rest.dispatcher().cancel(found.command.id);
      const now = await rest.executions().execution(found.execution.executionId);
      return ok({ success: true, data: formatExecution(now ?? found) });
    }),
  ];
}
