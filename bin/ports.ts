import { createServer } from 'node:net';

/** True where nobody listens on this address and port, and we may. @throws what listening throws but EADDRINUSE */
export function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

/** The first free port from `first` on, leaving out `taken`. @throws Error where 100 in a row are taken */
export async function nextFree(host: string, first: number, taken: readonly number[]): Promise<number> {
  for (let port = first; port < Math.min(first + 100, 65_536); port += 1) {
    if (!taken.includes(port) && (await isFree(host, port))) return port;
  }
  throw new Error(`no free port from ${first} on`);
}
