import type { FirmwareFile } from './codec.js';
import { compareVersions } from './version.js';

/** What an agent takes. */
export interface AgentTerms {
  /** Bytes. */
  maxBytes: number;
  /** `host`, `host:port` or `*.domain`; empty: any. */
  allowedHosts: readonly string[];
  /** An image must be signed: the agent has a public key. */
  signed: boolean;
  /** A lower version than the one installed is taken too. */
  downgrade: boolean;
}

/**
 * Why a file may not be fetched from `url`, or undefined. Asked for each hop of a redirect too.
 * @param allowedHosts as in AgentTerms
 */
export function urlProblem(url: string, allowedHosts: readonly string[]): string | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined)
    return `file_url is ${JSON.stringify(url.slice(0, 200))}: accepted is an http or https URL`;
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
    return `file_url begins with ${JSON.stringify(parsed.protocol)}: accepted is http or https`;
  }
  if (parsed.username !== '' || parsed.password !== '') {
    return 'file_url holds a login: accepted is a URL without one';
  }
  const allowed = allowedHosts.some((entry) => {
    const wanted = entry.toLowerCase();
    if (wanted.startsWith('*.')) return parsed.hostname.endsWith(wanted.slice(1));
    return wanted === parsed.hostname || wanted === parsed.host;
  });
  if (allowedHosts.length > 0 && !allowed) {
    return `file_url is on ${parsed.host}: accepted is ${allowedHosts.join(', ')}`;
  }
  return undefined;
}

/**
 * Why an agent cannot take an image: every reason, or none (protocols.md "Controller node firmware-agent").
 * @param installed the version that runs; undefined: not known, and any version is taken
 * @param freeBytes room for the file; undefined: not known
 */
export function refusalsOf(
  file: FirmwareFile,
  terms: AgentTerms,
  installed: string | undefined,
  freeBytes: number | undefined,
): string[] {
  const problems = [urlProblem(file.fileUrl, terms.allowedHosts)];
  if (file.fileSize > terms.maxBytes) {
    problems.push(`file_size is ${file.fileSize}: at most ${terms.maxBytes} bytes are accepted`);
  } else if (freeBytes !== undefined && file.fileSize > freeBytes) {
    problems.push(`file_size is ${file.fileSize}: only ${freeBytes} bytes are free`);
  }
  if (terms.signed && file.signature === undefined) {
    problems.push('signature is missing: only signed images are accepted');
  }
  if (
    installed !== undefined &&
    !terms.downgrade &&
    (compareVersions(file.firmwareVersion, installed) ?? 0) < 0
  ) {
    problems.push(`firmware_version is ${file.firmwareVersion}: lower than ${installed}, which is installed`);
  }
  return problems.filter((problem) => problem !== undefined);
}
