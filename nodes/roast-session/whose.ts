import { mayRead } from '../../lib/access/policy.js';
import type { UserPrincipal } from '../../lib/access/principal.js';
import { FieldloomError } from '../../lib/core/errors.js';

/** Who asks; undefined: somebody without a token, where ACCESS=open lets them do all of it. */
export type Viewer = UserPrincipal | undefined;

/** Whether somebody may see and use what is a company's, or everyone's (null). */
export function mayUse(viewer: Viewer, companyId: string | null): boolean {
  if (viewer === undefined || companyId === null) return true;
  return mayRead(viewer, { kind: 'company', company: companyId });
}

/** Machines and their drivers are set up by administrators: a driver reaches whatever address it is given. */
export const maySetUp = (viewer: Viewer): boolean => viewer === undefined || viewer.admin;

/** The companies of which somebody sees what there is, beside what is everyone's; undefined: all. */
export const companiesOf = (viewer: Viewer): readonly string[] | undefined =>
  maySetUp(viewer) ? undefined : viewer?.companies;

/**
 * Whose a profile becomes that somebody brings.
 * @param asked the company that was named, if any
 * @throws FieldloomError forbidden, invalid_input where it is not said to which of several companies
 */
export function ownerOf(viewer: Viewer, asked: string | undefined): string | null {
  if (asked !== undefined) {
    if (mayUse(viewer, asked)) return asked;
    throw new FieldloomError('forbidden', `company_id=${asked.slice(0, 64)} is not one of your companies`);
  }
  const [own = null, ...others] = companiesOf(viewer) ?? [];
  if (others.length === 0) return own;
  const accepted = viewer?.companies.join(', ');
  throw new FieldloomError('invalid_input', `company_id is missing: accepted is one of ${accepted}`);
}
