import { FieldloomError } from '../../core/errors.js';
import type { Unit } from '../driver.js';
import type { SqlValue, Statement } from '../store.js';
import type { Server } from './session.js';

/** So much text is sent in one go: far below what the servers take by default. */
const LARGEST_TEXT = 2 * 1024 * 1024;
/** Everything of a statement that is no value, bytes at most. */
const REST_OF_STATEMENT = 10_000;
/** Rows of one insert: more gains nothing. */
const MOST_ROWS = 500;

/** Part of a batch: statements to be sent together. */
export interface Text {
  sql: string;
  /** Of each statement, how many rows it must have changed; -1 where any number will do. */
  affects: number[];
}

interface Shape {
  texts: string[];
  order: number[];
  /** Set for an insert of one row that others of its kind can be added to: what stands before and after its row. */
  insert: { head: string; tail: string } | undefined;
}

/** Kysely's insert of one row; an update of the row that is there already must not meet the same row twice. */
const INSERT =
  /^(insert into .+? values )(\((?:[^()'"]|\?|\$\d+)*\))( on conflict \([^)]*\) do nothing| on duplicate key update (`\w+`) = \4)?$/;

/** Writes units as text. Statements are cut into pieces once. */
export class BatchText {
  readonly #server: Server;
  readonly #shapes = new Map<string, Shape>();

  constructor(server: Server) {
    this.#server = server;
  }

  /** Why this unit can never be sent; undefined where it can. @param longest statement that the server takes, bytes */
  refusal(unit: Unit, longest: number): FieldloomError | undefined {
    for (const { parameters } of unit) {
      if (!parameters.every(isSqlValue)) {
        return rejected(
          'a parameter is not a value of SQL: accepted are text, finite numbers, bytes and null',
        );
      }
      const size = parameters.reduce<number>((sum, value) => sum + this.#sizeOf(value), REST_OF_STATEMENT);
      if (size > longest) {
        return rejected(`a row of ${size} bytes is more than the server takes (${longest})`);
      }
    }
    return undefined;
  }

  /**
   * The statements of these units in their order. Inserts of single rows into the same table that follow each other,
   * and guard nothing, are sent as one: a round trip and a parse less for each.
   */
  *texts(units: readonly Unit[]): Generator<Text> {
    let sql = '';
    let affects: number[] = [];
    let open: { key: string; tail: string; rows: number } | undefined;
    const close = () => {
      if (open !== undefined) sql += `${open.tail};`;
      open = undefined;
    };
    for (const unit of units) {
      for (const statement of unit) {
        if (sql.length > LARGEST_TEXT) {
          close();
          yield { sql, affects };
          sql = '';
          affects = [];
        }
        const shape = this.#shape(statement.sql);
        const { insert } = shape;
        if (insert !== undefined && statement.affects === undefined) {
          const row = this.#fill(shape, statement).slice(
            insert.head.length,
            -insert.tail.length || undefined,
          );
          if (open?.key === statement.sql && open.rows < MOST_ROWS) {
            sql += `, ${row}`;
            open.rows += 1;
            continue;
          }
          close();
          sql += insert.head + row;
          open = { key: statement.sql, tail: insert.tail, rows: 1 };
          affects.push(-1);
          continue;
        }
        close();
        sql += `${this.#fill(shape, statement)};`;
        affects.push(statement.affects ?? -1);
      }
    }
    close();
    if (affects.length > 0) yield { sql, affects };
  }

  /** Bytes of a value as text, or somewhat more: a character of text has up to four, and exactness costs time. */
  #sizeOf(value: SqlValue): number {
    if (typeof value === 'string') return value.length * 4;
    if (!(value instanceof Uint8Array)) return 20;
    return value.byteLength < 65_536 ? value.byteLength * 2 : this.#server.literal(value).length;
  }

  #shape(sql: string): Shape {
    let shape = this.#shapes.get(sql);
    if (shape === undefined) {
      const { texts, order } = this.#server.split(sql);
      const [, head, , tail = ''] = INSERT.exec(sql) ?? [];
      shape = { texts, order, insert: head === undefined ? undefined : { head, tail } };
      if (this.#shapes.size >= REMEMBERED_STATEMENTS) this.#shapes.clear();
      this.#shapes.set(sql, shape);
    }
    return shape;
  }

  #fill({ texts, order }: Shape, { parameters }: Statement): string {
    let sql = texts[0] as string;
    for (let index = 0; index < order.length; index += 1) {
      sql += this.#server.literal(parameters[order[index] as number] as SqlValue) + texts[index + 1];
    }
    return sql;
  }
}

const REMEMBERED_STATEMENTS = 1_000;

function isSqlValue(value: SqlValue): boolean {
  switch (typeof value) {
    case 'string':
    case 'bigint':
      return true;
    case 'number':
      return Number.isFinite(value);
    default:
      return value === null || value instanceof Uint8Array;
  }
}

const rejected = (message: string) => new FieldloomError('store_rejected', message);
