import { isDeepStrictEqual } from 'node:util';
import machineSchema from '../../schemas/roast/machine.schema.json';
import { FieldloomError } from '../core/errors.js';
import { compileSchema } from '../core/schema.js';
import type { AlarmCondition, AlarmRule } from './alarms.js';
import { DETECTION_DEFAULTS } from './detection.js';
import { parseModbus } from './modbus-settings.js';
import { RATE_DEFAULTS, type RateSettings } from './rate-of-rise.js';
import type { SessionSettings } from './session.js';
import type { RoastMachineBody } from './wire.js';

export type DriverKind = RoastMachineBody['driver'];
/** As REST takes it: it is kept as it was given. */
export type MachineConfig = NonNullable<RoastMachineBody['config']>;
type AlarmConfig = NonNullable<MachineConfig['alarms']>[number];

export const DEFAULT_SAMPLING_MS = 1_000;

/** A roasting machine as it is set up. */
export interface MachineDefinition {
  readonly id: string;
  readonly name: string;
  /** Whose it is; null: everyone's who may roast at all. */
  readonly companyId: string | null;
  readonly driver: DriverKind;
  readonly samplingMs: number;
  readonly config: MachineConfig;
}

const validate = compileSchema<RoastMachineBody>(machineSchema);

/**
 * A machine of a REST body (contract.md "REST").
 * @param id, companyId where the body does not say: its own where it is there already
 * @throws FieldloomError schema_mismatch, invalid_input with a pointer
 */
export function parseMachine(body: unknown, id: string, companyId: string | null = null): MachineDefinition {
  const checked = validate(body);
  if (!checked.valid) {
    throw new FieldloomError('schema_mismatch', checked.message, { pointer: checked.pointer });
  }
  const { name, company_id, driver, sampling_interval_ms, config = {} } = checked.value;
  const definition = {
    id: checked.value.id ?? id,
    name,
    companyId: company_id === undefined ? companyId : company_id,
    driver,
    samplingMs: sampling_interval_ms ?? DEFAULT_SAMPLING_MS,
    config,
  };
  alarmsOf(config);
  if (driver === 'modbus') parseModbus(config.modbus ?? {}, '/config/modbus');
  return definition;
}

/** The machine as REST answers it. */
export function formatMachine({ id, name, companyId, driver, samplingMs, config }: MachineDefinition) {
  return { id, name, company_id: companyId, driver, sampling_interval_ms: samplingMs, config };
}

export function sessionSettings({ config }: MachineDefinition): SessionSettings {
  return {
    detection: { dryEndC: config.dry_end_c ?? DETECTION_DEFAULTS.dryEndC },
    alarms: alarmsOf(config),
    chargeAtStart: config.charge_at_start ?? false,
  };
}

export function rateSettings({ config }: MachineDefinition): RateSettings {
  return {
    windowS: config.ror_window_s ?? RATE_DEFAULTS.windowS,
    mode: config.ror_mode ?? RATE_DEFAULTS.mode,
  };
}

/** What the session looks at, and no driver does. */
const OF_THE_SESSION = ['alarms', 'charge_at_start', 'dry_end_c', 'ror_mode', 'ror_window_s'] as const;

/** Whether two definitions of a machine ask for the same driver, set up the same. */
export function sameDriver(one: MachineDefinition, other: MachineDefinition): boolean {
  const asked = ({ driver, samplingMs, config }: MachineDefinition) => {
    const own: Record<string, unknown> = { ...config };
    for (const name of OF_THE_SESSION) delete own[name];
    return { driver, samplingMs, own };
  };
  return isDeepStrictEqual(asked(one), asked(other));
}

/** How many times as fast as the clock its own time goes (lib/roast/pace.ts): only a simulated one has a choice. */
export function speedOf({ driver, config }: MachineDefinition): number {
  return driver === 'simulator' ? (config.speed ?? 1) : 1;
}

function alarmsOf({ alarms = [] }: MachineConfig): AlarmRule[] {
  return alarms.map((alarm, index) => {
    const pointer = `/config/alarms/${index}`;
    if (alarms.findIndex(({ id }) => id === alarm.id) < index) {
      throw new FieldloomError('invalid_input', `${pointer}/id ${alarm.id} is there twice`, {
        pointer: `${pointer}/id`,
      });
    }
    const when = conditionOf(alarm, `${pointer}/when`);
    return {
      id: alarm.id,
      message: alarm.message ?? `${alarm.id}: ${describe(alarm)}`,
      severity: alarm.severity ?? 'warning',
      when,
      ...(alarm.after_event !== undefined && { afterEvent: alarm.after_event }),
      ...(alarm.if_alarm !== undefined && { ifAlarm: alarm.if_alarm }),
      ...(alarm.but_not !== undefined && { butNot: alarm.but_not }),
      ...(alarm.hysteresis !== undefined && { hysteresis: alarm.hysteresis }),
      actions: [
        ...(alarm.mark_event === undefined ? [] : [{ kind: 'mark' as const, event: alarm.mark_event }]),
        ...(alarm.set_control === undefined ? [] : [{ kind: 'control' as const, ...alarm.set_control }]),
      ],
    };
  });
}

function describe({ when: { source, above, below, event } }: AlarmConfig): string {
  if (source === 'event') return `${event}`;
  const what = source === 'time' ? `seconds since ${event}` : source;
  return above === undefined ? `${what} below ${below}` : `${what} above ${above}`;
}

function conditionOf({ when }: AlarmConfig, pointer: string): AlarmCondition {
  const { source, above, below, event } = when;
  const refuse = (accepted: string) =>
    new FieldloomError('invalid_input', `${pointer} with source ${source}: accepted is ${accepted}`, {
      pointer,
    });
  if (source === 'event') {
    if (event === undefined || above !== undefined || below !== undefined) throw refuse('event alone');
    return { kind: 'event', event };
  }
  if (source === 'time') {
    if (event === undefined || above === undefined || below !== undefined || above < 0) {
      throw refuse('event, and above with seconds of 0 or more');
    }
    return { kind: 'time', event, seconds: above };
  }
  if ((above === undefined) === (below === undefined) || event !== undefined) throw refuse('above or below');
  return {
    kind: 'value',
    source,
    ...(above !== undefined && { above }),
    ...(below !== undefined && { below }),
  };
}
