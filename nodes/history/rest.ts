import { isUuid } from '../../lib/access/client.js';
import { mayChange, mayRead } from '../../lib/access/policy.js';
import type { CommandRecord, Dispatcher } from '../../lib/command/ports.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { AllowedCommands } from '../../lib/solar/allowed-commands.js';
import type { MachineIds, MachineRecord } from '../../lib/solar/ports.js';
import { formatBucket, formatChange, formatStatus, formatTelemetry } from '../../lib/solar/rest-format.js';
import { RESOLUTIONS, type Resolution, type SeriesFilter } from '../../lib/store/solar-queries.js';
import { preferredWait } from '../../lib/web/preferences.js';
import { limitParameter, spanParameters, textParameter } from '../../lib/web/query.js';
import type { Answer, Request, Route } from '../../lib/web/route.js';
import type { ProvidedTelemetry } from '../telemetry-store/provided.js';

export interface CompanyRest {
  /** @throws FieldloomError store_unavailable while there is no telemetry-store node */
  telemetry(): ProvidedTelemetry;
  /** @throws FieldloomError not_found where no device-command node is named; store_unavailable while it is not there */
  dispatcher(): Dispatcher;
  allowed: AllowedCommands;
}

const LONGEST_COMMAND = 255;
const ok = (body: unknown, status = 200): Answer => ({ status, body });

/**
 * The company of a path. The first thing that is looked at: whoever does not belong to it gets the same answer whatever
 * there is, or is not, behind it.
 * @throws FieldloomError forbidden
 */
function companyOf({ parameters, principal }: Request, may = mayRead): string {
  const company = parameters['company_id'] ?? '';
  if (principal !== undefined && !may(principal, { kind: 'company', company })) {
    throw new FieldloomError('forbidden', 'this company is not one of yours');
  }
  return company;
}

function filterOf(query: URLSearchParams): SeriesFilter & { limit: number } {
  const cursor = textParameter(query, 'cursor');
  return { ...spanParameters(query), limit: limitParameter(query), ...(cursor !== undefined && { cursor }) };
}

/** @returns undefined for rows as they are. @throws FieldloomError invalid_input */
export function resolutionOf(value: unknown): Resolution | undefined {
  if (value === undefined || value === null || value === '' || value === 'raw') return undefined;
  if (typeof value === 'string' && Object.hasOwn(RESOLUTIONS, value)) return value as Resolution;
  throw new FieldloomError('invalid_input', `resolution=${value}: accepted is raw, 1m or 1h`, {
    details: { parameter: 'resolution' },
  });
}

/** A page of a machine's series, newest first. @throws FieldloomError invalid_input */
export async function telemetryPage(
  from: ProvidedTelemetry,
  { number }: MachineRecord,
  resolution: Resolution | undefined,
  filter: SeriesFilter,
) {
  const queries = await from.queries();
  if (resolution === undefined) {
    const { items, next_cursor } = await queries.telemetry(number, filter);
    return { items: items.map(formatTelemetry), next_cursor };
  }
  const { items, next_cursor } = await queries.buckets(number, resolution, filter);
  return { items: items.map(formatBucket), next_cursor };
}

function commandOf(body: unknown): { command: string; params: Record<string, unknown> } {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new FieldloomError('invalid_input', 'the body is no JSON object', { pointer: '' });
  }
  const { command, params = {} } = body as Record<string, unknown>;
  if (typeof command !== 'string' || command === '' || command.length > LONGEST_COMMAND) {
    throw new FieldloomError(
      'invalid_input',
      `command is ${command === undefined ? 'missing' : 'no such text'}: accepted is text of 1 to ${LONGEST_COMMAND} characters`,
      { pointer: '/command' },
    );
  }
  if (typeof params !== 'object' || params === null || Array.isArray(params)) {
    throw new FieldloomError('invalid_input', 'params is no object', { pointer: '/params' });
  }
  return { command, params: params as Record<string, unknown> };
}

/** Whose turn a machine's commands take (lib/command). No id has a slash. */
const deviceOf = ({ companyId, machineId }: MachineIds) => `${companyId}/${machineId}`;

function formatCommand({ companyId, machineId }: MachineIds, sent: CommandRecord) {
  return {
    command_id: sent.id,
    company_id: companyId,
    machine_id: machineId,
    command: sent.commandType,
    params: sent.parameters,
    status: sent.status,
    ...(sent.message !== null && { message: sent.message }),
    created_at: new Date(sent.createdAt).toISOString(),
  };
}

/** The REST paths of solar machines (contract.md "REST"). */
export function companyRoutes({ telemetry, dispatcher, allowed }: CompanyRest): Route[] {
  async function machineOf(request: Request, may = mayRead): Promise<MachineRecord> {
    const companyId = companyOf(request, may);
    const machineId = request.parameters['machine_id'] ?? '';
    const found = await telemetry().machine({ companyId, machineId });
    if (found === undefined) throw new FieldloomError('not_found', `there is no machine ${machineId}`);
    return found;
  }
  const get = (path: string, handle: Route['handle']): Route => ({
    method: 'GET',
    path: `/companies${path}`,
    access: 'read',
    handle,
  });
  const MACHINE = '/:company_id/machines/:machine_id';

  return [
    get('', async ({ principal }) => {
      const companies = await (await telemetry().queries()).companies();
      const visible = companies.filter(
        ({ companyId }) =>
          principal === undefined || mayRead(principal, { kind: 'company', company: companyId }),
      );
      const items = visible.map(({ companyId, machines }) => ({ company_id: companyId, machines }));
      return ok({ items, next_cursor: null });
    }),

    get('/:company_id/commands', async (request) => {
      const companyId = companyOf(request);
      dispatcher();
      const commands = allowed.of(companyId);
      return ok({ any: commands === undefined, items: commands ?? [], next_cursor: null });
    }),

    get('/:company_id/machines', async (request) => {
      const companyId = companyOf(request);
      const { limit, cursor } = filterOf(request.query);
      const from = telemetry();
      const queries = await from.queries();
      const page = await queries.machinesOf(companyId, { limit, ...(cursor !== undefined && { cursor }) });
      const items = await Promise.all(
        page.items.map(async (machine) => {
          const latest = await from.latest(machine);
          return {
            ...formatStatus(from.withLastSeen(machine)),
            telemetry: latest === undefined ? null : formatTelemetry(latest),
          };
        }),
      );
      return ok({ items, next_cursor: page.next_cursor });
    }),

    get(`${MACHINE}/status`, async (request) => ok(formatStatus(await machineOf(request)))),

    get(`${MACHINE}/status/history`, async (request) => {
      const { number } = await machineOf(request);
      const queries = await telemetry().queries();
      const { items, next_cursor } = await queries.statusHistory(number, filterOf(request.query));
      return ok({ items: items.map(formatChange), next_cursor });
    }),

    get(`${MACHINE}/telemetry`, async (request) => {
      const machine = await machineOf(request);
      const resolution = resolutionOf(textParameter(request.query, 'resolution'));
      return ok(await telemetryPage(telemetry(), machine, resolution, filterOf(request.query)));
    }),

    get(`${MACHINE}/commands/:command_id`, async (request) => {
      const machine = await machineOf(request);
      const id = request.parameters['command_id'] ?? '';
      const to = dispatcher();
      let sent = isUuid(id) ? await to.outcome(id, 0) : undefined;
      // One of another machine is as one that does not exist.
      if (sent?.device !== deviceOf(machine)) {
        throw new FieldloomError('not_found', `there is no command ${id}`);
      }
      const waitS = preferredWait(request.headers);
      if (waitS !== undefined) sent = await to.outcome(id, waitS * 1000);
      return ok(formatCommand(machine, sent));
    }),

    {
      method: 'POST',
      path: '/companies/:company_id/machines/:machine_id/command',
      access: 'user',
      async handle(request) {
        const { companyId, machineId } = await machineOf(request, mayChange);
        const { command, params } = commandOf(request.body);
        const waitS = preferredWait(request.headers);
        allowed.check(companyId, command, params);
        const to = dispatcher();
        let sent = await to.submit({
          device: deviceOf({ companyId, machineId }),
          commandType: command,
          parameters: params,
          values: { company_id: companyId, machine_id: machineId },
          waitForBroker: false,
        });
        if (waitS !== undefined) sent = await to.outcome(sent.id, waitS * 1000);
        if (sent.reason === 'not_connected') {
          throw new FieldloomError('not_connected', 'the broker is away: the command was not sent');
        }
        return ok(formatCommand({ companyId, machineId }, sent), 202);
      },
    },
  ];
}
