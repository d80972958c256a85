/** The address of a service that a test needs. Service tests fail, not skip, where it is not told or not there. */
export function serviceUrl(variable: string): string {
  const url = process.env[variable];
  if (url === undefined) throw new Error(`the service tests need ${variable}, the address of a real service`);
  return url;
}
