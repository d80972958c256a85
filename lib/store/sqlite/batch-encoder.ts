import { FieldloomError } from '../../core/errors.js';
import type { Unit, UnitResult } from '../driver.js';
import type { SqlValue } from '../store.js';
import { type BatchRequest, NULL, NUMBER, OTHER } from './messages.js';

/** So many statement texts stay prepared in the writing thread. */
const REMEMBERED_STATEMENTS = 500;

/** Turns units into the long arrays that the writing thread takes (messages.ts `BatchRequest`). */
export class BatchEncoder {
  #numbers = new Map<string, number>();
  #lastNumber = 0;

  /** The thread is a new one and knows no statement. */
  reset(): void {
    this.#numbers.clear();
  }

  /** Units that cannot be sent at all have their error in `results`, and no statement in the request. */
  encode(units: readonly Unit[], results: UnitResult[]): Omit<BatchRequest, 'kind' | 'id' | 'round'> {
    let length = units.length;
    let parameterCount = 0;
    for (const unit of units) {
      length += 3 * unit.length;
      for (const { parameters } of unit) parameterCount += parameters.length;
    }
    const codes = new Int32Array(length);
    const values = new ValueArrays(parameterCount);
    const learn: [number, string][] = [];
    const forget: number[] = [];
    let code = 0;
    for (let index = 0; index < units.length; index += 1) {
      const unit = units[index] as Unit;
      const codeBefore = code;
      const valuesBefore = values.place();
      let accepted = true;
      code += 1;
      for (const { sql, parameters, affects } of unit) {
        codes[code++] = this.#number(sql, learn, forget);
        codes[code++] = parameters.length;
        codes[code++] = affects ?? -1;
        for (const parameter of parameters) accepted = values.add(parameter) && accepted;
      }
      codes[codeBefore] = unit.length;
      if (!accepted) {
        results[index] = new FieldloomError(
          'store_rejected',
          'a parameter is not a value of SQL: accepted are text, finite numbers, bytes and null',
        );
        values.backTo(valuesBefore);
        codes[codeBefore] = 0;
        code = codeBefore + 1;
      }
    }
    return { codes: codes.subarray(0, code), ...values.arrays(), learn, forget };
  }

  #number(sql: string, learn: [number, string][], forget: number[]): number {
    let number = this.#numbers.get(sql);
    if (number !== undefined) return number;
    if (this.#numbers.size >= REMEMBERED_STATEMENTS) {
      const [oldest, its] = this.#numbers.entries().next().value as [string, number];
      this.#numbers.delete(oldest);
      forget.push(its);
    }
    this.#lastNumber += 1;
    number = this.#lastNumber;
    this.#numbers.set(sql, number);
    learn.push([number, sql]);
    return number;
  }
}

interface Place {
  kinds: number;
  numbers: number;
  others: number;
}

/** Parameters, by kind. */
class ValueArrays {
  readonly #kinds: Uint8Array;
  readonly #numbers: Float64Array;
  readonly #others: SqlValue[] = [];
  #kindCount = 0;
  #numberCount = 0;

  constructor(length: number) {
    this.#kinds = new Uint8Array(length);
    this.#numbers = new Float64Array(length);
  }

  /** @returns whether it is a value of SQL */
  add(value: SqlValue): boolean {
    switch (typeof value) {
      case 'number':
        this.#kinds[this.#kindCount++] = NUMBER;
        this.#numbers[this.#numberCount++] = value;
        return Number.isFinite(value);
      case 'string':
      case 'bigint':
        this.#kinds[this.#kindCount++] = OTHER;
        this.#others.push(value);
        return true;
      case 'object':
        if (value === null) {
          this.#kinds[this.#kindCount++] = NULL;
          return true;
        }
        if (!(value instanceof Uint8Array)) return false;
        this.#kinds[this.#kindCount++] = OTHER;
        // A slice of a larger buffer would take the whole of it along through structured cloning.
        this.#others.push(value.byteLength === value.buffer.byteLength ? value : new Uint8Array(value));
        return true;
      default:
        return false;
    }
  }

  place(): Place {
    return { kinds: this.#kindCount, numbers: this.#numberCount, others: this.#others.length };
  }

  /** Forgets what was added since. */
  backTo({ kinds, numbers, others }: Place): void {
    this.#kindCount = kinds;
    this.#numberCount = numbers;
    this.#others.length = others;
  }

  arrays(): Pick<BatchRequest, 'kinds' | 'numbers' | 'others'> {
    return {
      kinds: this.#kinds.subarray(0, this.#kindCount),
      numbers: this.#numbers.subarray(0, this.#numberCount),
      others: this.#others,
    };
  }
}
