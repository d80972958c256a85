import { widthOf } from './modbus-register.js';
import type { ModbusChannel } from './modbus-settings.js';

/** What one request reads. */
export interface ModbusRead {
  readonly unitId: number;
  readonly functionCode: 1 | 2 | 3 | 4;
  readonly address: number;
  readonly count: number;
}

/** One request, and the channels that its answer holds. */
export interface ModbusBlock extends ModbusRead {
  readonly channels: readonly ModbusChannel[];
}

/** An answer holds as many registers; of bits there are far fewer in a table. */
const LONGEST = 125;

/** What would read this channel alone. */
export function blockOf(channel: ModbusChannel): ModbusBlock {
  const { unitId, functionCode, address, type } = channel;
  return { unitId, functionCode, address, count: widthOf(type), channels: [channel] };
}

/**
 * The fewest requests that read all channels and nothing else: a device may refuse what lies between two of its
 * registers. The one with bt is first, then by address.
 */
export function blocksOf(channels: readonly ModbusChannel[]): ModbusBlock[] {
  const blocks: ModbusBlock[] = [];
  const sorted = channels.toSorted(
    (a, b) => a.unitId - b.unitId || a.functionCode - b.functionCode || a.address - b.address,
  );
  for (const next of sorted.map(blockOf)) {
    const last = blocks.at(-1);
    const end = last === undefined ? 0 : last.address + last.count;
    if (
      last?.unitId === next.unitId &&
      last.functionCode === next.functionCode &&
      next.address <= end &&
      next.address + next.count - last.address <= LONGEST
    ) {
      blocks[blocks.length - 1] = {
        ...last,
        count: Math.max(end, next.address + next.count) - last.address,
        channels: [...last.channels, ...next.channels],
      };
    } else blocks.push(next);
  }
  const hasBeans = ({ channels: inside }: ModbusBlock) => inside.some(({ channel }) => channel === 'bt');
  return blocks.toSorted((a, b) => Number(hasBeans(b)) - Number(hasBeans(a)));
}
