import type { KeyObject } from 'node:crypto';
import { mkdir, readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../core/clock.js';
import { asError } from '../core/errors.js';
import type { AgentFiles } from './agent-ports.js';
import { download } from './download.js';
import { fileProblems } from './download-check.js';

export interface AgentFilesOptions {
  /** Made, for its owner alone, where it is not there; the agent removes its own files in it, and no others. */
  folder: string;
  /** As in AgentTerms. */
  allowedHosts: readonly string[];
  /** Where set, a file must have a signature that this key accepts. */
  publicKey: KeyObject | undefined;
  clock: Clock;
  /** A connection on which nothing comes is given up after so long, ms. */
  idleMs?: number;
}

/** One deployment's file, and what lies beside it while it grows. */
const OURS = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.bin(\.json(\.new)?)?$/;

/** The agent's files in a folder, brought there by HTTP. */
export function agentFiles({
  folder,
  allowedHosts,
  publicKey,
  clock,
  idleMs = 60_000,
}: AgentFilesOptions): AgentFiles {
  const ready = () => mkdir(folder, { recursive: true, mode: 0o700 });
  const pathOf = (deploymentId: string) => join(folder, `${deploymentId}.bin`);

  async function remove(deploymentId: string): Promise<void> {
    const path = pathOf(deploymentId);
    for (const file of [`${path}.json.new`, `${path}.json`, path]) await rm(file, { force: true });
  }

  return {
    pathOf,
    remove,
    async freeBytes() {
      try {
        await ready();
        const { bavail, bsize } = await statfs(folder);
        return bavail * bsize;
      } catch {
        return undefined;
      }
    },
    async fetch(deploymentId, file, signal, onProgress) {
      try {
        await ready();
      } catch (error) {
        return { outcome: 'refused', errors: [`the folder cannot be used: ${asError(error).message}`] };
      }
      try {
        const path = pathOf(deploymentId);
        const result = await download({
          url: file.fileUrl,
          size: file.fileSize,
          path,
          allowedHosts,
          signal,
          clock,
          idleMs,
          onProgress: (bytes) => onProgress({ phase: 'downloading', bytes }),
        });
        if (result.outcome !== 'complete') return result;
        onProgress({ phase: 'verifying', bytes: file.fileSize });
        const errors = await fileProblems(path, file, publicKey, signal);
        if (errors.length === 0) return { outcome: 'ready' };
        await remove(deploymentId);
        return { outcome: 'wrong', errors, pieced: result.pieced };
      } catch (error) {
        return { outcome: 'interrupted', reason: asError(error).message, progressed: false };
      }
    },
    async sweep(keep) {
      await ready();
      for (const name of await readdir(folder)) {
        const deploymentId = OURS.exec(name)?.[1];
        if (deploymentId !== undefined && deploymentId !== keep)
          await rm(join(folder, name), { force: true });
      }
    },
  };
}
