import { isIP } from 'node:net';

/**
 * Whether a request's Host header names this gateway in a way that no other site can take: an address, localhost, or
 * the host of one of `origins`. A page elsewhere can point a name of its own at a gateway (DNS rebinding), and its
 * reader's browser would then take what the gateway answers for that page's own.
 * @param host as it came, with its port
 * @param origins such as `https://gateway.example:8443`
 */
export function isSafeHost(host: string | undefined, origins: readonly string[]): boolean {
  if (host === undefined || !URL.canParse(`http://${host}`)) return false;
  const { host: asked, hostname } = new URL(`http://${host}`);
  const name = hostname.replace(/^\[|\]$/g, '');
  return (
    isIP(name) !== 0 ||
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    origins.some((origin) => URL.canParse(origin) && new URL(origin).host === asked)
  );
}

/** Whether an address of a socket is this computer's own: 127.0.0.0/8, ::1, or the former written as IPv6. */
export function isOwnAddress(address: string | undefined): boolean {
  return address === '::1' || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(address ?? '');
}
