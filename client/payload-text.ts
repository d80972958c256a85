export interface PayloadText {
  kind: 'text' | 'hex' | 'empty';
  /** JSON is indented; bytes that are no text come as a hex dump. */
  text: string;
  /** Length of the payload, bytes. */
  bytes: number;
  /** True where only the beginning is shown. */
  cut: boolean;
}

const SHOWN_BYTES = 16 * 1024;

/** A refused payload for a person to read. @param base64 as the gateway sends it */
export function payloadText(base64: string): PayloadText {
  const all = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  if (all.length === 0) return { kind: 'empty', text: '', bytes: 0, cut: false };
  const shown = all.subarray(0, SHOWN_BYTES);
  const cut = shown.length < all.length;
  const text = decoded(shown, cut);
  return text === undefined
    ? { kind: 'hex', text: hexDump(shown), bytes: all.length, cut }
    : { kind: 'text', text: indented(text), bytes: all.length, cut };
}

/** Undefined where the bytes are not UTF-8 text. @param cut the last character may be half there */
function decoded(bytes: Uint8Array, cut: boolean): string | undefined {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: cut });
  } catch {
    return undefined;
  }
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 32 && character !== '\n' && character !== '\r' && character !== '\t') return undefined;
  }
  return text;
}

function indented(text: string): string {
  // Deep nesting would be wider than tall: leave it as it came.
  if (/[[{]{20}/.test(text.replace(/\s/g, ''))) return text;
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text;
  }
}

function hexDump(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let offset = 0; offset < bytes.length; offset += 16) {
    const row = bytes.subarray(offset, offset + 16);
    const hex = Array.from(row, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const readable = Array.from(row, (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.'));
    lines.push(`${offset.toString(16).padStart(4, '0')}  ${hex.padEnd(47)}  ${readable.join('')}`);
  }
  return lines.join('\n');
}
