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
import { companiesOf, maySetUp, mayUse, ownerOf, type Viewer } from './whose.js';

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
  /** Another company's is not there. */
  const machineFor = (viewer: Viewer, id: string) => {
    const found = roastery().find(id);
    if (found !== undefined && mayUse(viewer, found.definition.companyId)) return found;
    throw new FieldloomError('not_found', `there is no machine ${JSON.stringify(id.slice(0, 64))}`);
  };
  const machineOf = ({ parameters, principal }: Request) => machineFor(principal, parameters['id'] ?? '');
  const checkSetUp = ({ principal }: Request) => {
    if (maySetUp(principal)) return;
    throw new FieldloomError('forbidden', 'machines are set up by an administrator');
  };
  const profileOf = async ({ parameters, principal }: Request) => {
    const id = parameters['id'] ?? '';
    const found = await profiles().find(id);
    if (found !== undefined && mayUse(principal, found.entry.companyId)) return found;
    throw new FieldloomError('not_found', `there is no profile ${JSON.stringify(id.slice(0, 64))}`);
  };

  async function save({ body, query, principal }: Request): Promise<Answer> {
    const request = parseProfileRequest(body, textParameter(query, 'name')?.slice(0, 1000));
    if (request.type === 'import') {
      const companyId = ownerOf(principal, textParameter(query, 'company_id')?.slice(0, 255));
      return { status: 201, body: formatProfileHead(await profiles().add(request.profile, { companyId })) };
    }
    const machine = machineFor(principal, request.machineId);
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
    const { companyId } = machine.definition;
    const entry = await profiles().add(profile, { companyId, machineId: request.machineId, sessionId });
    return { status: 201, body: formatProfileHead(entry) };
  }

  return [
    route('GET', '/api/machines', async ({ principal }) => {
      const theirs = roastery()
        .machines()
        .filter(({ definition }) => mayUse(principal, definition.companyId));
      return ok({ items: theirs.toReversed().map(formatMachineView), next_cursor: null });
    }),
    route('POST', '/api/machines', async (request) => {
      checkSetUp(request);
      return { status: 201, body: formatMachineView(await roastery().add(request.body)) };
    }),
    route('GET', '/api/machines/:id', async (request) => ok(formatMachineView(machineOf(request)))),
    route('PUT', '/api/machines/:id', async (request) => {
      const { id } = machineOf(request).definition;
      return ok(formatMachineView(await roastery().update(id, request.body, maySetUp(request.principal))));
    }),
    route('DELETE', '/api/machines/:id', async (request) => {
      const { id } = machineOf(request).definition;
      checkSetUp(request);
      await roastery().remove(id);
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

    route('GET', '/api/profiles', async ({ query, principal }) => {
      const cursor = textParameter(query, 'cursor');
      const page = await profiles().page({
        limit: limitParameter(query),
        companies: companiesOf(principal),
        ...(cursor !== undefined && { cursor }),
      });
      return ok({ items: page.items.map(formatProfileHead), next_cursor: page.next_cursor });
    }),
    { ...route('POST', '/api/profiles', save), body: 'file' },
    route('GET', '/api/profiles/:id', async (request) => {
      const { entry, profile } = await profileOf(request);
      return ok(formatSavedProfile(entry, profile, roastStatistics(profile)));
    }),
    route('DELETE', '/api/profiles/:id', async (request) => {
      const { entry } = await profileOf(request);
      await profiles().remove(entry.id);
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
