import { isUtf8 } from 'node:buffer';
import { FieldloomError } from '../core/errors.js';
import { parseJson } from '../core/json.js';
import { formatAlog, parseAlog } from './alog.js';
import { formatCsv, parseCsv } from './csv.js';
import type { Profile } from './profile.js';
import { profileOfJson, profileToJson } from './profile-json.js';

export type ProfileFormat = 'alog' | 'csv' | 'json';

export const PROFILE_FORMATS: readonly ProfileFormat[] = ['alog', 'csv', 'json'];

/** Long roasts with many channels have a few MB; more is not a roast. */
const LIMITS = { maxBytes: 16 * 1024 * 1024, maxDepth: 64 };

/**
 * Reads a profile of any format, told by its content: an Artisan .alog, a table, or JSON.
 * @throws FieldloomError payload_too_large, invalid_utf8, invalid_json, nesting_too_deep, schema_mismatch,
 *   invalid_profile: what was found and what is accepted
 */
export function parseProfile(bytes: Buffer): Profile {
  if (bytes.length > LIMITS.maxBytes) {
    throw new FieldloomError(
      'payload_too_large',
      `profile has ${bytes.length} bytes; at most ${LIMITS.maxBytes} are accepted`,
    );
  }
  if (!isUtf8(bytes)) throw new FieldloomError('invalid_utf8', 'profile is not UTF-8');
  const text = bytes.toString('utf8').replace(/^\uFEFF/, '');
  const begin = text.trimStart().slice(0, 200);
  // Python writes keys in single quotes, JSON in double ones.
  if (/^\{\s*'/.test(begin)) return checked(parseAlog(text));
  if (begin.startsWith('{') || begin.startsWith('['))
    return checked(profileOfJson(parseJson(Buffer.from(text), LIMITS)));
  return checked(parseCsv(text));
}

/** Times must be, and go forward; nothing else of a profile is needed. */
function checked(profile: Profile): Profile {
  if (profile.samples.length === 0) {
    throw new FieldloomError('invalid_profile', 'profile has no samples: accepted is one or more');
  }
  let lastMs = -Infinity;
  profile.samples.forEach(({ timeMs }, index) => {
    if (timeMs < lastMs) {
      throw new FieldloomError(
        'invalid_profile',
        `sample ${index} is at ${timeMs} ms, before the one before it: accepted are times that go forward`,
      );
    }
    lastMs = timeMs;
  });
  return profile;
}

/** The profile as a file of that format, UTF-8. */
export function formatProfile(profile: Profile, format: ProfileFormat): string {
  switch (format) {
    case 'alog':
      return formatAlog(profile);
    case 'csv':
      return formatCsv(profile);
    case 'json':
      return `${JSON.stringify(profileToJson(profile))}\n`;
  }
}
