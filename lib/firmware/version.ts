const VERSION = /^v?(\d{1,15}(?:\.\d{1,15})*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/;

/** Numbers before text, numbers by size: the order of identifiers in Semantic Versioning, 11.4. */
function compareIdentifiers(a: string, b: string): number {
  const [left, right] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (left && right) return Number(a) - Number(b);
  if (left !== right) return left ? -1 : 1;
  return a < b ? -1 : Number(a > b);
}

function compareLists(a: readonly string[], b: readonly string[], missing?: string): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const left = a[index] ?? missing;
    const right = b[index] ?? missing;
    if (left === undefined || right === undefined) return left === undefined ? -1 : 1;
    const order = compareIdentifiers(left, right);
    if (order !== 0) return order;
  }
  return 0;
}

/**
 * Orders two firmware versions as Semantic Versioning does, with any number of numbers: 1.2 is 1.2.0, 1.10 is above
 * 1.9, 2.0.0-rc.1 below 2.0.0; what follows a plus does not count.
 * @returns below 0 where `a` is lower, 0 where both are the same; undefined where they have no order
 */
export function compareVersions(a: string, b: string): number | undefined {
  if (a === b) return 0;
  const left = VERSION.exec(a);
  const right = VERSION.exec(b);
  if (left === null || right === null) return undefined;
  const release = compareLists((left[1] ?? '').split('.'), (right[1] ?? '').split('.'), '0');
  if (release !== 0) return release;
  const [before, after] = [left[2], right[2]];
  if (before === undefined || after === undefined)
    return Number(after !== undefined) - Number(before !== undefined);
  return compareLists(before.split('.'), after.split('.'));
}
