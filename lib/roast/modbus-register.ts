/** What a register holds; `bit`: a coil or a discrete input. */
export type RegisterType = 'bit' | 'int16' | 'uint16' | 'int32' | 'uint32' | 'float32';

/** Where a value is in a Modbus device and how it is written there. Value = register × scale + offset. */
export interface Register {
  readonly unitId: number;
  /** As the protocol counts, from 0. */
  readonly address: number;
  readonly type: RegisterType;
  /** The half of 32 bits with the lower address is the low one. */
  readonly lowWordFirst: boolean;
  readonly scale: number;
  readonly offset: number;
}

const LIMITS: Readonly<Record<RegisterType, readonly [lowest: number, highest: number]>> = {
  bit: [0, 1],
  int16: [-0x8000, 0x7fff],
  uint16: [0, 0xffff],
  int32: [-0x8000_0000, 0x7fff_ffff],
  uint32: [0, 0xffff_ffff],
  float32: [-3.4e38, 3.4e38],
};

const WIDE: readonly RegisterType[] = ['int32', 'uint32', 'float32'];

/** How many registers (or bits) it takes. */
export const widthOf = (type: RegisterType): number => (WIDE.includes(type) ? 2 : 1);

/**
 * The value of what was read.
 * @param words of 16 bits each, in the order of their addresses; 0 or 1 of a bit
 * @returns NaN where a float32 is none, or words are missing
 */
export function decodeRegister(words: readonly number[], register: Register): number {
  const value = numberOf(words, register) * register.scale + register.offset;
  // 1234 × 0.1 is 123.4, not 123.40000000000001.
  return Number(value.toPrecision(12));
}

function numberOf(words: readonly number[], { type, lowWordFirst }: Register): number {
  if (words.length < widthOf(type)) return Number.NaN;
  const [first = 0, second = 0] = words;
  const bytes = Buffer.alloc(4);
  if (widthOf(type) === 1) {
    bytes.writeUInt16BE(first);
    return type === 'int16' ? bytes.readInt16BE() : first;
  }
  bytes.writeUInt16BE(lowWordFirst ? second : first);
  bytes.writeUInt16BE(lowWordFirst ? first : second, 2);
  if (type === 'float32') return bytes.readFloatBE();
  return type === 'int32' ? bytes.readInt32BE() : bytes.readUInt32BE();
}

/** The register of a value, before it is put into words: whole but for float32. */
export function rawOf(value: number, { type, scale, offset }: Register): number {
  const raw = (value - offset) / scale;
  return type === 'float32' ? raw : Math.round(raw);
}

/** Whether the register can hold this value. */
export function holds(value: number, register: Register): boolean {
  const [lowest, highest] = LIMITS[register.type];
  const raw = rawOf(value, register);
  return raw >= lowest && raw <= highest;
}

/** What is to be written for a value that the register can hold: words of 16 bits, in the order of their addresses. */
export function encodeRegister(value: number, register: Register): number[] {
  const { type, lowWordFirst } = register;
  const raw = rawOf(value, register);
  if (type === 'bit') return [raw];
  const bytes = Buffer.alloc(4);
  if (widthOf(type) === 1) {
    bytes.writeInt32BE(raw);
    return [bytes.readUInt16BE(2)];
  }
  if (type === 'float32') bytes.writeFloatBE(raw);
  else bytes.writeUInt32BE(raw < 0 ? raw + 0x1_0000_0000 : raw);
  const words = [bytes.readUInt16BE(), bytes.readUInt16BE(2)];
  return lowWordFirst ? words.reverse() : words;
}
