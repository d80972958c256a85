import { execFile } from 'node:child_process';
import { once } from 'node:events';

export interface Result {
  code: number;
  out: string;
  problem: string;
}

/** Runs a Node.js script in a process of its own, to its end. `environment` is all it gets beside PATH and HOME. */
export async function runScript(
  script: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  input = '',
): Promise<Result> {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment };
  const result: Result = { code: -1, out: '', problem: '' };
  const child = execFile(process.execPath, [script, ...words], { env });
  child.stdout?.on('data', (text: string) => {
    result.out += text;
  });
  child.stderr?.on('data', (text: string) => {
    result.problem += text;
  });
  child.stdin?.end(input);
  const [code] = (await once(child, 'close')) as [number];
  return { ...result, code };
}
