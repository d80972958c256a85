import { filterMatches } from '../core/topic.js';

interface Entry<T> {
  filter: string;
  value: T;
}

/**
 * Fleets repeat their topics: past so many different ones the memory is emptied and filled again. A topic may be 64 KiB
 * long, those of machines are not.
 */
const REMEMBERED_TOPICS = 10_000;
const LONGEST_REMEMBERED = 1_024;

/** Which values (handlers) are registered for a topic, by MQTT filters. */
export class Subscriptions<T> {
  readonly #entries = new Set<Entry<T>>();
  readonly #byTopic = new Map<string, readonly T[]>();

  get size(): number {
    return this.#entries.size;
  }

  /** @returns removes it again */
  add(filter: string, value: T): () => void {
    const entry = { filter, value };
    this.#entries.add(entry);
    this.#byTopic.clear();
    return () => {
      this.#entries.delete(entry);
      this.#byTopic.clear();
    };
  }

  /** In the order in which they were added. */
  match(topic: string): readonly T[] {
    const known = this.#byTopic.get(topic);
    if (known !== undefined) return known;
    const found: T[] = [];
    for (const { filter, value } of this.#entries) if (filterMatches(filter, topic)) found.push(value);
    if (topic.length > LONGEST_REMEMBERED) return found;
    if (this.#byTopic.size >= REMEMBERED_TOPICS) this.#byTopic.clear();
    this.#byTopic.set(topic, found);
    return found;
  }
}
