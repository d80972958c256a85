import { FieldloomError } from '../core/errors.js';
import { type TopicParameters, type TopicTemplate, topicTemplate } from '../core/topic.js';

/** Roots of the REST API: an unknown path below one of them is answered with 404 as JSON. */
export const API_ROOTS = [
  'stores',
  'dead-letters',
  'api',
  'access',
  'companies',
  'firmware',
  'automation',
  'mqtt',
  'overview',
] as const;

/** True for a path of the REST API, known or not. */
export function isApiPath(path: string): boolean {
  return API_ROOTS.some((root) => path === `/${root}` || path.startsWith(`/${root}/`));
}

const withoutTrailingSlash = (path: string) =>
  path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;

function decode(parameters: TopicParameters): TopicParameters {
  try {
    return Object.fromEntries(
      Object.entries(parameters).map(([name, value]) => [name, decodeURIComponent(value)]),
    );
  } catch (error) {
    throw new FieldloomError('invalid_input', 'the path holds a % that is no percent-encoding', {
      cause: error,
    });
  }
}

interface Entry<T> {
  template: TopicTemplate;
  /** Literal levels before parameters, so that `/stores/all` wins over `/stores/{store_id}`. */
  rank: string;
  value: T;
}

/** Values under path templates, looked up per request, so that adding and removing leaves nothing behind. */
export interface PathTable<T> {
  /** @returns what removes it again */
  add(template: string, value: T): () => void;
  /** All values whose template matches, the most literal template first; a trailing slash does not matter. */
  find(path: string): { value: T; parameters: TopicParameters }[];
  readonly size: number;
}

export function createPathTable<T>(): PathTable<T> {
  const entries = new Set<Entry<T>>();
  return {
    add(template, value) {
      // Express writes `:name` where our topic templates write `{name}`.
      const levels = withoutTrailingSlash(template).replace(/:([a-z_]+)(?=\/|$)/g, '{$1}');
      const rank = levels
        .split('/')
        .map((level) => (level.startsWith('{') ? '1' : '0'))
        .join('');
      const entry = { template: topicTemplate(levels), rank, value };
      entries.add(entry);
      return () => entries.delete(entry);
    },
    find(path) {
      const wanted = withoutTrailingSlash(path);
      const found: { rank: string; value: T; parameters: TopicParameters }[] = [];
      for (const { template, rank, value } of entries) {
        const parameters = template.match(wanted);
        if (parameters !== undefined) found.push({ rank, value, parameters });
      }
      return found
        .sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0))
        .map(({ value, parameters }) => ({ value, parameters: decode(parameters) }));
    },
    get size() {
      return entries.size;
    },
  };
}
