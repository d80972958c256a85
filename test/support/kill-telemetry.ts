import { isBad, type Subject } from './kill-test.js';

/** Where the rows are read. */
interface Reader {
  list<T>(path: string, as?: string): Promise<T[]>;
  /** Where reading wants a token. */
  tokenOf?(name: string): Promise<string>;
}

/**
 * Telemetry of one machine: some of it says its own time, and the rest is known by its bytes alone.
 * @param identified all of it says which one it is: where another broker is away too, its last publishers send again what
 *   that broker had taken already, and nothing else tells that this is no new message
 */
export function numberedTelemetry(
  gateway: Reader,
  company: string,
  machine: string,
  identified = false,
): Subject {
  const topic = `company/${company}/machine/${machine}/telemetry`;
  const read = async () => {
    const as = await gateway.tokenOf?.('root');
    const path = `/companies/${company}/machines/${machine}/telemetry`;
    const rows = await gateway.list<{ extra: { number: number } }>(path, as).catch((error: Error) => {
      if (error.message.includes('404')) return [];
      throw error;
    });
    const letters = await gateway.list<{ topic: string; payload_base64: string }>(
      '/dead-letters?protocol=solar',
      as,
    );
    return {
      rows: rows.map(({ extra }) => extra.number),
      refused: letters
        .filter((letter) => letter.topic === topic)
        .map(
          ({ payload_base64 }) => JSON.parse(Buffer.from(payload_base64, 'base64').toString()).extra.number,
        ),
    };
  };
  return {
    topic,
    message(number) {
      const battery = isBad(number) ? 'broken' : 12 + (number % 7) / 4;
      if (identified) return JSON.stringify({ battery, extra: { number }, message_id: number });
      const own = number % 3 === 0 ? { timestamp: new Date().toISOString() } : {};
      return JSON.stringify({ battery, extra: { number }, ...own });
    },
    async count() {
      const { rows, refused } = await read();
      return rows.length + refused.length;
    },
    numbers: read,
  };
}
