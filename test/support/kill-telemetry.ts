import { isBad, type Subject } from './kill-test.js';
import type { SolarGateway } from './solar-gateway.js';

/** Telemetry of one machine: some of it says its own time, and the rest is known by its bytes alone. */
export function numberedTelemetry(gateway: SolarGateway, company: string, machine: string): Subject {
  const topic = `company/${company}/machine/${machine}/telemetry`;
  const read = async () => {
    const as = await gateway.tokenOf('root');
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
