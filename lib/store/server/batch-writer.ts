import { asError, FieldloomError } from '../../core/errors.js';
import type { Unit, UnitResult } from '../driver.js';
import { BatchText, type Text } from './batch-text.js';
import type { Server, Session } from './session.js';

/** Attempts of one batch against the transactions of other gateways, before it counts as not written. */
const ATTEMPTS = 8;

/** Thrown inside: one of the units is void, so the batch is written unit by unit. */
class UnitVoid extends Error {}

/**
 * Writes batches of units over one connection, each batch in one transaction, in the order of the calls. A batch is
 * sent whole; only where one of its units is void, which competition between gateways can bring about, are they sent
 * again one by one, each behind a savepoint.
 */
export class ServerBatchWriter {
  readonly #server: Server;
  readonly #text: BatchText;
  #session: Session | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #round = 0;
  #closed = false;

  constructor(server: Server) {
    this.#server = server;
    this.#text = new BatchText(server);
  }

  /** As Driver.commit. */
  commit(batch: readonly Unit[]): Promise<readonly UnitResult[]> {
    const round = this.#round;
    const done = this.#last.then(() => this.#write(batch, round));
    this.#last = done.catch(() => {});
    return done;
  }

  /** Fulfils when what was given is written. */
  async close(): Promise<void> {
    await this.#last;
    this.#closed = true;
    this.#session?.destroy();
    this.#session = undefined;
  }

  async #write(batch: readonly Unit[], round: number): Promise<readonly UnitResult[]> {
    if (round !== this.#round) {
      throw new FieldloomError('store_unavailable', 'an earlier batch could not be written');
    }
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#attempt(batch);
      } catch (error) {
        const verdict = this.#server.judge(error);
        if (verdict.kind === 'deadlock' && attempt < ATTEMPTS) continue;
        this.#round += 1;
        throw verdict.kind === 'rejected'
          ? new FieldloomError('store_unavailable', asError(error).message, { cause: error })
          : verdict.error;
      }
    }
  }

  async #attempt(batch: readonly Unit[]): Promise<readonly UnitResult[]> {
    const session = await this.#open();
    const results: UnitResult[] = batch.map((unit) => this.#text.refusal(unit, session.longestStatement));
    try {
      try {
        await this.#whole(
          session,
          batch.filter((_unit, index) => results[index] === undefined),
        );
        return results;
      } catch (error) {
        if (!(error instanceof UnitVoid) && this.#server.judge(error).kind !== 'rejected') throw error;
        await session.run('rollback');
      }
      await session.run('begin');
      for (const [index, unit] of batch.entries()) results[index] ??= await this.#alone(session, unit);
      await session.run('commit');
      return results;
    } catch (error) {
      // The transaction goes with its connection, whatever became of it.
      session.destroy();
      this.#session = undefined;
      throw error;
    }
  }

  async #whole(session: Session, units: readonly Unit[]): Promise<void> {
    let begin = 'begin;';
    for (const { sql, affects } of this.#text.texts(units)) {
      const changed = (await session.run(begin + sql)).slice(begin === '' ? 0 : 1);
      begin = '';
      if (affects.some((wanted, index) => wanted >= 0 && changed[index] !== wanted)) throw new UnitVoid();
    }
    if (begin === '') await session.run('commit');
  }

  async #alone(session: Session, unit: Unit): Promise<UnitResult> {
    await session.run('savepoint unit');
    let result: UnitResult;
    try {
      for (const statement of unit) {
        const [text] = this.#text.texts([[statement]]);
        const [changed] = await session.run((text as Text).sql);
        const { affects } = statement;
        if (affects === undefined || changed === affects) continue;
        result = new FieldloomError(
          'store_conflict',
          `the row has changed in between: ${changed} rows changed instead of ${affects}`,
        );
        break;
      }
    } catch (error) {
      const verdict = this.#server.judge(error);
      if (verdict.kind !== 'rejected') throw error;
      result = verdict.error;
    }
    if (result !== undefined) await session.run('rollback to savepoint unit');
    await session.run('release savepoint unit');
    return result;
  }

  async #open(): Promise<Session> {
    if (this.#closed) throw new FieldloomError('store_closed', 'the store is closed');
    this.#session ??= await this.#server.connect();
    return this.#session;
  }
}
