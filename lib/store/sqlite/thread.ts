import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Answer, Failure, Request, WorkerSettings } from './messages.js';

type Question = Request extends infer R ? (R extends { id: number } ? Omit<R, 'id'> : never) : never;

/** What the worker said instead of an answer. */
export class ThreadFailure extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

/** A worker thread with one SQLite connection. Answers come in the order of the questions. */
export class Thread {
  readonly #settings: WorkerSettings;
  #worker: Worker | undefined;
  #asked = new Map<number, { fulfil: (answer: never) => void; reject: (error: Error) => void }>();
  #lastId = 0;
  /** Rises when the thread is started anew: what it had learnt is gone. */
  started = 0;

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
  }

  /** @throws ThreadFailure */
  ask<A extends Answer>(question: Question): Promise<A> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise<A>((fulfil, reject) => {
      this.#worker ??= this.#start();
      // Before it is remembered: what cannot be cloned throws here and concerns nobody else.
      this.#worker.postMessage({ ...question, id });
      this.#asked.set(id, { fulfil, reject });
    });
  }

  /** Fulfils when the connection is closed and the thread has ended. */
  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    const ended = new Promise<void>((fulfil) => {
      worker.once('exit', () => fulfil());
    });
    await this.ask({ kind: 'close' }).catch(() => worker.terminate());
    await ended;
  }

  start(): void {
    this.#worker ??= this.#start();
  }

  #start(): Worker {
    const worker = new Worker(join(__dirname, 'worker.js'), {
      workerData: this.#settings,
      name: this.#settings.readOnly ? 'fieldloom-store-reader' : 'fieldloom-store-writer',
    });
    this.started += 1;
    worker.on('message', (answer: Answer) => {
      const asked = this.#asked.get(answer.id);
      this.#asked.delete(answer.id);
      if ('failure' in answer) asked?.reject(new ThreadFailure(answer.failure));
      else asked?.fulfil(answer as never);
    });
    worker.on('error', (error) => this.#ended(worker, error.message));
    worker.on('exit', () => this.#ended(worker, 'the database thread has ended'));
    return worker;
  }

  #ended(worker: Worker, message: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const { reject } of asked) reject(new ThreadFailure({ kind: 'away', message }));
  }
}
