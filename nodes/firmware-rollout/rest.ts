import { mayChange, mayRead } from '../../lib/access/policy.js';
import type { UserPrincipal } from '../../lib/access/principal.js';
import { FieldloomError } from '../../lib/core/errors.js';
import {
  DEPLOYMENT_STATES,
  type Deployment,
  type DeploymentState,
} from '../../lib/firmware/deployment-record.js';
import type { StoredRollout } from '../../lib/firmware/ports.js';
import { formatDeployment, formatHistory, formatRollout } from '../../lib/firmware/rest-format.js';
import type { RolloutEvent } from '../../lib/firmware/rollout.js';
import type { Rollouts } from '../../lib/firmware/rollouts.js';
import type { FirmwareQueries } from '../../lib/store/firmware-queries.js';
import { integerParameter, limitParameter, textParameter } from '../../lib/web/query.js';
import type { Answer, Request, Route } from '../../lib/web/route.js';

export interface FirmwareRest {
  /** @throws FieldloomError store_unavailable while the store is not open */
  queries(): FirmwareQueries;
  /** @throws FieldloomError store_unavailable while they are not loaded */
  rollouts(): Rollouts;
}

/** 10,000 targets have a little more than 1 MiB. */
const MAX_REQUEST_BYTES = 16 * 1024 * 1024;
const MOST_STAGES = 1_000;

const ok = (body: unknown, status = 200): Answer => ({ status, body });

/**
 * Whether a person may have this rollout or deployment. Whoever does not own all stores hears the same of what is
 * there and of what is not, so that no answer tells which ids there are.
 * @param storeIds of its targets; none where there is no such thing
 * @throws FieldloomError not_found, forbidden
 */
function checkOwn(
  principal: UserPrincipal | undefined,
  may: typeof mayRead,
  storeIds: readonly string[],
  what: string,
): void {
  const everything = principal === undefined || principal.admin;
  if (storeIds.length === 0 && everything) throw new FieldloomError('not_found', `there is no ${what}`);
  const own =
    storeIds.length > 0 &&
    storeIds.every((storeId) => everything || may(principal, { kind: 'store', storeId }));
  if (!own) throw new FieldloomError('forbidden', `${what} is not of your stores alone`);
}

/** The stores of a rollout whose feed or state is asked for. @throws FieldloomError not_found, forbidden */
export async function checkRollout(
  queries: FirmwareQueries,
  principal: UserPrincipal | undefined,
  rolloutId: string,
  may: typeof mayRead = mayRead,
): Promise<void> {
  checkOwn(principal, may, await queries.storesOf(rolloutId), `rollout ${rolloutId}`);
}

/** An optional field of a body. @throws FieldloomError invalid_input */
function textOf(body: unknown, name: string): string | undefined {
  if (body === undefined || body === null) return undefined;
  const value = typeof body === 'object' ? (body as Record<string, unknown>)[name] : body;
  if (value === undefined || typeof value === 'string') return value;
  throw new FieldloomError('invalid_input', `/${name} must be text`, { pointer: `/${name}` });
}

function idsOf(body: unknown): string[] | undefined {
  const list = (body as { deployment_ids?: unknown } | null | undefined)?.deployment_ids;
  if (list === undefined) return undefined;
  if (Array.isArray(list) && list.length > 0 && list.every((id) => typeof id === 'string')) return list;
  const pointer = '/deployment_ids';
  throw new FieldloomError('invalid_input', `${pointer} must be a list of ids of deployments`, { pointer });
}

function stateOf(query: URLSearchParams): DeploymentState | undefined {
  const state = textParameter(query, 'state');
  if (state === undefined || (DEPLOYMENT_STATES as readonly string[]).includes(state)) {
    return state as DeploymentState | undefined;
  }
  throw new FieldloomError(
    'invalid_input',
    `state=${state}: accepted is one of ${DEPLOYMENT_STATES.join(', ')}`,
    {
      details: { parameter: 'state' },
    },
  );
}

/** The part of the REST API that is about rollouts and deployments (contract.md "REST"). */
export function firmwareRoutes({ queries, rollouts }: FirmwareRest): Route[] {
  const rolloutId = ({ parameters }: Request) => parameters['id'] ?? '';

  async function withHistory(deployments: readonly Deployment[]) {
    const history = await queries().history(deployments.map(({ id }) => id));
    return deployments.map((deployment) => ({
      ...formatDeployment(deployment),
      history: formatHistory(history.get(deployment.id) ?? []),
    }));
  }

  async function full(stored: StoredRollout) {
    const history = await queries().history([stored.plan.id]);
    return { ...formatRollout(stored), history: formatHistory(history.get(stored.plan.id) ?? []) };
  }

  async function deploymentOf({ parameters, principal }: Request, may: typeof mayRead): Promise<Deployment> {
    const id = parameters['id'] ?? '';
    const deployment = await queries().deployment(id);
    checkOwn(principal, may, deployment === undefined ? [] : [deployment.storeId], `deployment ${id}`);
    return deployment as Deployment;
  }

  const get = (path: string, handle: Route['handle']): Route => ({
    method: 'GET',
    path,
    access: 'read',
    handle,
  });
  const post = (path: string, handle: Route['handle']): Route => ({
    method: 'POST',
    path,
    access: 'user',
    handle,
  });

  /** A step of a rollout that a person asks for. */
  const action = (name: string, event: (body: unknown) => RolloutEvent): Route =>
    post(`/firmware/rollouts/:id/${name}`, async (request) => {
      await checkRollout(queries(), request.principal, rolloutId(request), mayChange);
      return ok(await full(await rollouts().act(rolloutId(request), event(request.body))));
    });
  const reasoned = (type: 'pause' | 'cancel') => (body: unknown) => {
    const reason = textOf(body, 'reason');
    return { type, ...(reason !== undefined && { reason }) };
  };

  return [
    {
      ...post('/firmware/rollouts', async ({ body, principal }) => {
        const allowed = (storeIds: readonly string[]) => {
          if (
            principal === undefined ||
            storeIds.every((storeId) => mayChange(principal, { kind: 'store', storeId }))
          ) {
            return;
          }
          throw new FieldloomError('forbidden', 'the rollout has targets in stores that are not yours');
        };
        const made = await rollouts().create(body, principal?.username ?? null, allowed);
        return ok(await full(made), 201);
      }),
      maxBodyBytes: MAX_REQUEST_BYTES,
    },

    get('/firmware/rollouts', async ({ query, principal }) => {
      const cursor = textParameter(query, 'cursor');
      const page = await queries().rollouts({
        limit: limitParameter(query),
        ...(cursor !== undefined && { cursor }),
        ...(principal !== undefined && !principal.admin && { stores: principal.stores }),
      });
      return ok({ items: page.items.map(formatRollout), next_cursor: page.next_cursor });
    }),

    get('/firmware/rollouts/:id', async (request) => {
      await checkRollout(queries(), request.principal, rolloutId(request));
      return ok(await full((await queries().rollout(rolloutId(request))) as StoredRollout));
    }),

    action('start', () => ({ type: 'start' })),
    action('pause', reasoned('pause')),
    action('resume', () => ({ type: 'resume' })),
    action('approve', () => ({ type: 'approve' })),
    action('cancel', reasoned('cancel')),
    post('/firmware/rollouts/:id/retry', async (request) => {
      await checkRollout(queries(), request.principal, rolloutId(request), mayChange);
      return ok(await full(await rollouts().retry(rolloutId(request), idsOf(request.body))));
    }),

    get('/firmware/rollouts/:id/deployments', async (request) => {
      const { query } = request;
      await checkRollout(queries(), request.principal, rolloutId(request));
      const state = stateOf(query);
      const stage = integerParameter(query, 'stage', [0, MOST_STAGES]);
      const cursor = textParameter(query, 'cursor');
      const page = await queries().deployments(rolloutId(request), {
        limit: limitParameter(query),
        ...(state !== undefined && { state }),
        ...(stage !== undefined && { stage }),
        ...(cursor !== undefined && { cursor }),
      });
      return ok({ items: await withHistory(page.items), next_cursor: page.next_cursor });
    }),

    get('/firmware/deployments/:id', async (request) => {
      const [deployment] = await withHistory([await deploymentOf(request, mayRead)]);
      return ok(deployment);
    }),
    post('/firmware/deployments/:id/cancel', async (request) => {
      const { id } = await deploymentOf(request, mayChange);
      const done = await rollouts().cancelDeployment(id, textOf(request.body, 'reason'));
      return ok((await withHistory([done]))[0]);
    }),
    post('/firmware/deployments/:id/force', async (request) => {
      const { id } = await deploymentOf(request, mayChange);
      const by = request.principal?.username;
      const reason = textOf(request.body, 'reason');
      const done = await rollouts().forceDeployment(id, [`by ${by}`, reason].filter(Boolean).join(': '));
      return ok((await withHistory([done]))[0]);
    }),
  ];
}
