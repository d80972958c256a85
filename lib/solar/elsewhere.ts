import { createHash } from 'node:crypto';
import type { Gateways } from '../core/gateways.js';
import type { Machine } from './machines.js';
import type { RowIds, SolarStore } from './ports.js';

/**
 * Several gateways share out telemetry: a machine that is silent here may be speaking to another one. What it said
 * there stands in the store. A status is heard by all, in the order in which the machine sent it.
 */
export interface Elsewhere {
  /** Whether this gateway keeps a refused status, which every gateway has heard. */
  keepsRefused(): boolean;
  /** Ids of the rows that this gateway writes, in all its runs: what it may have written before it was killed; undefined: all. */
  readonly ownRows: RowIds | undefined;
  /** When the machine was last heard by any gateway, epoch ms. */
  lastHeard(machine: Machine): Promise<number>;
}

/** Gateways of so many names are told apart, nearly always; each has the rest of the 53 bits of a row's id. */
const NAMES = 2 ** 20;
const IDS_OF_ONE = 2 ** 32;

function rowsOf(gateway: string): RowIds {
  const first = (createHash('sha256').update(gateway).digest().readUInt32BE() % NAMES) * IDS_OF_ONE;
  return { first, last: first + IDS_OF_ONE - 1 };
}

/** @param gateway name of this one; undefined: one gateway at a time hears the machines, and the others stand by */
export function createElsewhere(
  store: Pick<SolarStore, 'load' | 'rowsBefore'>,
  gateways: Pick<Gateways, 'isFirst'>,
  gateway: string | undefined,
): Elsewhere {
  return {
    ownRows: gateway === undefined ? undefined : rowsOf(gateway),
    keepsRefused: () => gateway === undefined || gateways.isFirst(),
    async lastHeard(machine) {
      const { lastSeen } = machine.pulse;
      const found = await store.load(machine);
      const [newest] = await store.rowsBefore(machine.number, { after: lastSeen, before: NEVER }, 1);
      return Math.max(lastSeen, found?.lastSeen ?? 0, newest?.receivedAt ?? 0);
    },
  };
}

/** Later than any row, epoch ms. */
const NEVER = Number.MAX_SAFE_INTEGER;
