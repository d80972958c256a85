import { FieldloomError } from '../core/errors.js';
import type { PythonDict, PythonValue } from './profile.js';

/**
 * Python literals as recording programs write them: dict, list, tuple, text, numbers, True, False, None. Read by a
 * parser of its own and never evaluated: a name, a call, an operator is refused (roast.md "Sessions", profiles).
 */
const MAX_DEPTH = 32;

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
};
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
const NAMES: Readonly<Record<string, PythonValue>> = { None: null, True: true, False: false };

const NUMBER = /[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y;
const WORD = /[\p{L}_][\p{L}\p{N}_.]*/uy;
const SPACE = /\s*/y;

/** @throws FieldloomError invalid_profile, nesting_too_deep: where it is, what was found and what is accepted */
export function parsePython(text: string): PythonValue {
  const reader = new Reader(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

class Reader {
  private at = 0;

  constructor(private readonly text: string) {}

  value(depth: number): PythonValue {
    this.space();
    const character = this.text[this.at];
    switch (character) {
      case '{':
        return this.dict(this.deeper(depth));
      case '[':
        return this.list(']', this.deeper(depth));
      case '(':
        return this.list(')', this.deeper(depth));
      case "'":
      case '"':
        return this.string();
      default:
        return this.number() ?? this.name();
    }
  }

  end(): void {
    this.space();
    if (this.at < this.text.length) this.refuse('the end');
  }

  private deeper(depth: number): number {
    if (depth >= MAX_DEPTH) {
      throw new FieldloomError(
        'nesting_too_deep',
        `profile is nested more than ${MAX_DEPTH} levels deep at character ${this.at}`,
      );
    }
    return depth + 1;
  }

  private space(): void {
    SPACE.lastIndex = this.at;
    SPACE.exec(this.text);
    this.at = SPACE.lastIndex;
  }

  private take(character: string): boolean {
    this.space();
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  private list(close: string, depth: number): PythonValue[] {
    this.at += 1;
    const values: PythonValue[] = [];
    while (!this.take(close)) {
      if (values.length > 0 && !this.take(',')) this.refuse(`"," or "${close}"`);
      // A comma may end the list: the tuple of one is written so.
      if (this.take(close)) break;
      values.push(this.value(depth));
    }
    return values;
  }

  private dict(depth: number): PythonDict {
    this.at += 1;
    const dict: Record<string, PythonValue> = Object.create(null);
    let first = true;
    while (!this.take('}')) {
      if (!first && !this.take(',')) this.refuse('"," or "}"');
      if (this.take('}')) break;
      first = false;
      this.space();
      if (this.text[this.at] !== "'" && this.text[this.at] !== '"') this.refuse('a key in quotes');
      const key = this.string();
      if (!this.take(':')) this.refuse('":"');
      dict[key] = this.value(depth);
    }
    return dict;
  }

  private string(): string {
    const quote = this.text[this.at] as string;
    const start = this.at;
    this.at += 1;
    let value = '';
    for (;;) {
      let end = this.at;
      while (end < this.text.length && this.text[end] !== quote && this.text[end] !== '\\') end += 1;
      value += this.text.slice(this.at, end);
      this.at = end;
      if (end >= this.text.length) {
        this.at = start;
        this.refuse('text that ends with its quote');
      }
      this.at += 1;
      if (this.text[end] === quote) return value;
      value += this.escape();
    }
  }

  /** What follows a backslash. */
  private escape(): string {
    const character = this.text[this.at] ?? '';
    const plain = ESCAPES[character];
    if (plain !== undefined) {
      this.at += 1;
      return plain;
    }
    const digits = HEX_DIGITS[character];
    if (digits === undefined) return '\\';
    const hex = this.text.slice(this.at + 1, this.at + 1 + digits);
    const code = Number.parseInt(hex, 16);
    if (!/^[0-9a-fA-F]+$/.test(hex) || hex.length < digits || code > 0x10ffff) {
      this.refuse(`${digits} hexadecimal digits`);
    }
    this.at += 1 + digits;
    return String.fromCodePoint(code);
  }

  private number(): number | undefined {
    NUMBER.lastIndex = this.at;
    const found = NUMBER.exec(this.text)?.[0];
    if (found === undefined) return undefined;
    const value = Number(found);
    if (!Number.isFinite(value)) this.refuse('a number that is finite');
    this.at += found.length;
    return value;
  }

  private name(): PythonValue {
    WORD.lastIndex = this.at;
    const found = WORD.exec(this.text)?.[0];
    if (found === undefined || !Object.hasOwn(NAMES, found)) {
      return this.refuse('a dict, list, text, number, True, False or None');
    }
    this.at += found.length;
    return NAMES[found] as PythonValue;
  }

  private refuse(accepted: string): never {
    const found = this.text.slice(this.at, this.at + 20).split('\n', 1)[0];
    const what = found === '' || found === undefined ? 'the end of the text' : JSON.stringify(found);
    throw new FieldloomError(
      'invalid_profile',
      `profile has ${what} at character ${this.at}: accepted is ${accepted}`,
      { details: { character: this.at } },
    );
  }
}

/** As Python's `repr` writes it. Numbers that are not finite become None. */
export function formatPython(value: PythonValue): string {
  if (value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : 'None';
  if (typeof value === 'string') return quote(value);
  if (Array.isArray(value)) return `[${value.map(formatPython).join(', ')}]`;
  return `{${Object.entries(value)
    .map(([key, each]) => `${quote(key)}: ${formatPython(each)}`)
    .join(', ')}}`;
}

function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(/[\\'"\p{Cc}\p{Cs}\u2028\u2029]/gu, (character) => {
    if (character === '\\') return '\\\\';
    if (character === "'" || character === '"') return character === mark ? `\\${character}` : character;
    if (character === '\n') return '\\n';
    if (character === '\r') return '\\r';
    if (character === '\t') return '\\t';
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return mark + escaped + mark;
}
