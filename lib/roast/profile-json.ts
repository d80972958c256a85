import profileSchema from '../../schemas/roast/profile.schema.json';
import { FieldloomError } from '../core/errors.js';
import { formatInstant, parseInstant } from '../core/instant.js';
import { compileSchema } from '../core/schema.js';
import { EVENT_TYPES } from './event.js';
import { eventAt, inOrder, NO_NOTES, type Profile, type ProfileEvent, type PythonDict } from './profile.js';
import { type Sample, toCelsius } from './reading.js';
import type { RoastProfile } from './wire.js';

const validate = compileSchema<RoastProfile>(profileSchema);

/**
 * A profile of a JSON document: ours (`schemas/roast/profile.schema.json`), or columns (`timex` in seconds, `bt`, `et`
 * in Celsius, `events` as indices).
 * @throws FieldloomError schema_mismatch with a pointer, invalid_profile
 */
export function profileOfJson(value: unknown): Profile {
  if (typeof value === 'object' && value !== null && 'timex' in value && !('format' in value)) {
    return ofColumns(value as Record<string, unknown>);
  }
  const checked = validate(value);
  if (!checked.valid) {
    throw new FieldloomError('schema_mismatch', checked.message, { pointer: checked.pointer });
  }
  return ofWire(checked.value);
}

function ofWire(wire: RoastProfile): Profile {
  const samples = (wire.samples ?? []).map(
    ({ timestamp_ms, bt, et }): Sample => ({ timeMs: timestamp_ms, bt: toCelsius(bt), et: toCelsius(et) }),
  );
  checkOrder(samples, '/samples');
  const events = wire.events ?? [];
  const twice = events.findIndex(
    ({ event_type }, index) => events.findIndex((each) => each.event_type === event_type) < index,
  );
  if (twice >= 0) {
    const pointer = `/events/${twice}/event_type`;
    throw new FieldloomError(
      'schema_mismatch',
      `${pointer} is there twice: accepted is one event of a type`,
      {
        pointer,
      },
    );
  }
  return {
    title: wire.title ?? '',
    startedAt: typeof wire.started_at === 'string' ? (parseInstant(wire.started_at) ?? null) : null,
    unit: wire.unit ?? 'C',
    samples,
    events: events.map(
      ({ event_type, timestamp_ms, auto_detected, bt_at_event, et_at_event }): ProfileEvent => {
        const source = typeof auto_detected === 'boolean' ? (auto_detected ? 'detected' : 'marked') : null;
        const near = eventAt(samples, event_type, timestamp_ms, source);
        return {
          ...near,
          bt: bt_at_event === undefined ? near.bt : bt_at_event,
          et: et_at_event === undefined ? near.et : et_at_event,
        };
      },
    ),
    controls: (wire.controls ?? []).map(({ timestamp_ms, channel, value, label }) => ({
      timeMs: timestamp_ms,
      channel,
      value: value ?? null,
      label: label ?? '',
    })),
    extraChannels: (wire.extra_channels ?? []).map(({ name, samples: values }) => ({
      name,
      samples: values.map(({ timestamp_ms, value }) => ({ timeMs: timestamp_ms, value: value ?? null })),
    })),
    notes: { ...NO_NOTES, ...known(wire.notes) },
    greenG: wire.weight?.green_g ?? null,
    roastedG: wire.weight?.roasted_g ?? null,
    artisan: (wire.artisan as PythonDict | null | undefined) ?? null,
  };
}

function known(notes: RoastProfile['notes']) {
  const { beans = '', roasting = '', cupping = '', operator = '', roaster = '' } = notes ?? {};
  return { beans, roasting, cupping, operator, roaster };
}

function checkOrder(samples: readonly Sample[], pointer: string): void {
  for (let index = 1; index < samples.length; index += 1) {
    if ((samples[index] as Sample).timeMs >= (samples[index - 1] as Sample).timeMs) continue;
    throw new FieldloomError('schema_mismatch', `${pointer}/${index} is before the sample before it`, {
      pointer: `${pointer}/${index}`,
    });
  }
}

/** Columns, as recordings are published for tests. */
function ofColumns({ timex, bt, et, events, unit }: Record<string, unknown>): Profile {
  const column = (name: string, value: unknown, length?: number): unknown[] => {
    if (Array.isArray(value) && (length === undefined || value.length === length)) return value;
    throw new FieldloomError('invalid_profile', `${name} is no list of ${length ?? 'seconds'}`, {
      pointer: `/${name}`,
    });
  };
  const times = column('timex', timex).map((seconds, index) => {
    if (typeof seconds === 'number') return seconds * 1000;
    throw new FieldloomError(
      'invalid_profile',
      `timex[${index}] is ${JSON.stringify(seconds)}: accepted are seconds`,
    );
  });
  const beans = column('bt', bt, times.length);
  const air = et === undefined ? [] : column('et', et, times.length);
  const samples = times.map((timeMs, index) => ({
    timeMs,
    bt: toCelsius(beans[index]),
    et: toCelsius(air[index]),
  }));
  checkOrder(samples, '/timex');
  const found = Object.entries((events ?? {}) as Record<string, unknown>).flatMap(([type, index]) => {
    const sample = typeof index === 'number' ? samples[index] : undefined;
    const known = EVENT_TYPES.find((each) => each === type);
    return sample === undefined || known === undefined ? [] : [eventAt(samples, known, sample.timeMs)];
  });
  return {
    title: '',
    startedAt: null,
    unit: unit === 'F' ? 'F' : 'C',
    samples,
    events: inOrder(found),
    controls: [],
    extraChannels: [],
    notes: NO_NOTES,
    greenG: null,
    roastedG: null,
    artisan: null,
  };
}

/** The profile as our JSON document has it. */
export function profileToJson(profile: Profile): RoastProfile {
  const { title, startedAt, unit, samples, events, controls, extraChannels, notes, artisan } = profile;
  return {
    format: 'fieldloom-roast',
    version: 1,
    title,
    started_at: startedAt === null ? null : formatInstant(startedAt),
    unit,
    samples: samples.map(({ timeMs, bt, et }) => ({ timestamp_ms: timeMs, bt, et })),
    events: events.map(({ type, timeMs, source, bt, et }) => ({
      event_type: type,
      timestamp_ms: timeMs,
      auto_detected: source === null ? null : source === 'detected',
      bt_at_event: bt,
      et_at_event: et,
    })),
    controls: controls.map(({ timeMs, channel, value, label }) => ({
      timestamp_ms: timeMs,
      channel,
      value,
      label,
    })),
    extra_channels: extraChannels.map((channel) => ({
      name: channel.name,
      samples: channel.samples.map(({ timeMs, value }) => ({ timestamp_ms: timeMs, value })),
    })),
    notes: { ...notes },
    weight: { green_g: profile.greenG, roasted_g: profile.roastedG },
    artisan: artisan as Record<string, unknown> | null,
  };
}
