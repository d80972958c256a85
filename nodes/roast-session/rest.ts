import { FieldloomError, hasCode } from '../../lib/core/errors.js';
import { formatProfile, PROFILE_FORMATS, type ProfileFormat } from '../../lib/roast/profile-codec.js';
import { profileOfRecording } from '../../lib/roast/recording.js';
import {
  formatMachineView,
  formatProfileHead,
  formatSavedProfile,
  formatSession,
  parseProfileRequest,
} from '../../lib/roast/rest-format.js';
import type { Roastery } from '../../lib/roast/roastery.js';
import { roastStatistics } from '../../lib/roast/statistics.js';
import type { Profiles } from '../../lib/store/roast-profiles.js';
import { limitParameter, textParameter } from '../../lib/web/query.js';
import type { Answer, Method, Request, Route } from '../../lib/web/route.js';

export interface RoastRest {
  /** @throws FieldloomError store_unavailable while the store is not open */
  roastery(): Roastery;
  profiles(): Profiles;
}

const ok = (body: unknown): Answer => ({ status: 200, body });
const NO_CONTENT: Answer = { status: 204 };

const CONTENT_TYPES: Readonly<Record<ProfileFormat, string>> = {
  alog: 'text/plain; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  json: 'application/json; charset=utf-8',
};

/** The roast seed's endpoints (seed: roast-protocol, REST API Endpoints), and the export of a profile. */
export function roastRoutes({ roastery, profiles }: RoastRest): Route[] {
  // One person at one machine needs no login where reading is open: all of it is `read`.
  const route = (method: Method, path: string, handle: (request: Request) => Promise<Answer>): Route => ({
    method,
    path,
    access: 'read',
    handle,
  });
  const machineOf = ({ parameters }: Request) => roastery().machine(parameters['id'] ?? '');
  const profileOf = async ({ parameters }: Request) => {
    const id = parameters['id'] ?? '';
    const found = await profiles().find(id);
    if (found !== undefined) return found;
    throw new FieldloomError('not_found', `there is no profile ${JSON.stringify(id.slice(0, 64))}`);
  };

  async function save({ body, query }: Request): Promise<Answer> {
    const request = parseProfileRequest(body, textParameter(query, 'name')?.slice(0, 1000));
    if (request.type === 'import') {
      return { status: 201, body: formatProfileHead(await profiles().add(request.profile)) };
    }
    const machine = roastery().machine(request.machineId);
    const { recording, sessionId, phase } = machine;
    if (phase !== 'finished' || recording === undefined || sessionId === null) {
      throw new FieldloomError(
        'conflict',
        `machine ${request.machineId} is ${phase}: accepted is a finished session`,
      );
    }
    if (recording.points.length === 0) {
      throw new FieldloomError('conflict', `the session of machine ${request.machineId} has no readings`);
    }
    const profile = profileOfRecording(recording, machine.events, request.remarks);
    const entry = await profiles().add(profile, { machineId: request.machineId, sessionId });
    return { status: 201, body: formatProfileHead(entry) };
  }

  return [
    route('GET', '/api/machines', async () =>
      ok({ items: roastery().machines().toReversed().map(formatMachineView), next_cursor: null }),
    ),
    route('POST', '/api/machines', async ({ body }) => ({
      status: 201,
      body: formatMachineView(await roastery().add(body)),
    })),
    route('GET', '/api/machines/:id', async (request) => ok(formatMachineView(machineOf(request)))),
    route('PUT', '/api/machines/:id', async ({ parameters, body }) =>
      ok(formatMachineView(await roastery().update(parameters['id'] ?? '', body))),
    ),
    route('DELETE', '/api/machines/:id', async ({ parameters }) => {
      await roastery().remove(parameters['id'] ?? '');
      return NO_CONTENT;
    }),
    route('POST', '/api/machines/:id/connect', async (request) => {
      const machine = machineOf(request);
      try {
        await roastery().connect(machine.definition.id);
      } catch (error) {
        if (hasCode(error, 'store_closed') || hasCode(error, 'not_found')) throw error;
        const { message } = machine.driverState;
        throw new FieldloomError('not_connected', `${message}; it is tried again and again`, {
          cause: error,
        });
      }
      return ok(formatMachineView(machine));
    }),
    route('POST', '/api/machines/:id/disconnect', async (request) => {
      const machine = machineOf(request);
      await roastery().disconnect(machine.definition.id);
      return ok(formatMachineView(machine));
    }),
    route('GET', '/api/machines/:id/session', async (request) => ok(formatSession(machineOf(request)))),

    route('GET', '/api/profiles', async ({ query }) => {
      const cursor = textParameter(query, 'cursor');
      const page = await profiles().page({
        limit: limitParameter(query),
        ...(cursor !== undefined && { cursor }),
      });
      return ok({ items: page.items.map(formatProfileHead), next_cursor: page.next_cursor });
    }),
    { ...route('POST', '/api/profiles', save), body: 'file' },
    route('GET', '/api/profiles/:id', async (request) => {
      const { entry, profile } = await profileOf(request);
      return ok(formatSavedProfile(entry, profile, roastStatistics(profile)));
    }),
    route('DELETE', '/api/profiles/:id', async ({ parameters }) => {
      await profiles().remove(parameters['id'] ?? '');
      return NO_CONTENT;
    }),
    route('GET', '/api/profiles/:id/export', async (request) => {
      const wanted = textParameter(request.query, 'format') ?? 'json';
      const format = PROFILE_FORMATS.find((each) => each === wanted);
      if (format === undefined) {
        throw new FieldloomError(
          'invalid_input',
          `format=${wanted}: accepted is ${PROFILE_FORMATS.join(', ')}`,
        );
      }
      const { entry, profile } = await profileOf(request);
      const name = entry.name.replaceAll(/[^A-Za-z0-9._-]+/g, '-').slice(0, 80) || entry.id;
      return {
        status: 200,
        body: Buffer.from(formatProfile(profile, format)),
        headers: {
          'Content-Type': CONTENT_TYPES[format],
          'Content-Disposition': `attachment; filename="${name}.${format}"`,
        },
      };
    }),
  ];
}
