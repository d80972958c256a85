import { FieldloomError } from '../../core/errors.js';
import type { Unit, UnitResult } from '../driver.js';
import type { SqlValue } from '../store.js';
import type { BatchRequest } from './messages.js';

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
  encode(
    units: readonly Unit[],
    results: UnitResult[],
  ): Pick<BatchRequest, 'codes' | 'values' | 'learn' | 'forget'> {
    let length = units.length;
    for (const unit of units) length += 3 * unit.length;
    const codes = new Int32Array(length);
    const values: SqlValue[] = [];
    const learn: [number, string][] = [];
    const forget: number[] = [];
    let code = 0;
    for (let index = 0; index < units.length; index += 1) {
      const unit = units[index] as Unit;
      const valuesBefore = values.length;
      const codeBefore = code;
      let wrong = false;
      code += 1;
      for (const { sql, parameters, affects } of unit) {
        codes[code++] = this.#number(sql, learn, forget);
        codes[code++] = parameters.length;
        codes[code++] = affects ?? -1;
        for (const parameter of parameters) {
          const value = sendable(parameter);
          if (value === UNSENDABLE) wrong = true;
          values.push(value);
        }
      }
      codes[codeBefore] = unit.length;
      if (wrong) {
        results[index] = new FieldloomError(
          'store_rejected',
          'a parameter is not a value of SQL: accepted are text, finite numbers, bytes and null',
        );
        values.length = valuesBefore;
        codes[codeBefore] = 0;
        code = codeBefore + 1;
      }
    }
    return { codes: codes.subarray(0, code), values, learn, forget };
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

const UNSENDABLE = Symbol('unsendable') as unknown as SqlValue;

function sendable(value: SqlValue): SqlValue {
  switch (typeof value) {
    case 'string':
    case 'bigint':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : UNSENDABLE;
    case 'object':
      if (value === null) return value;
      if (!(value instanceof Uint8Array)) return UNSENDABLE;
      // A slice of a larger buffer would take the whole of it along through structured cloning.
      return value.byteLength === value.buffer.byteLength ? value : new Uint8Array(value);
    default:
      return UNSENDABLE;
  }
}
