import { FieldloomError } from '../core/errors.js';
import type { TopicParameters, TopicTemplate } from '../core/topic.js';
import type { CommandRequest } from './ports.js';

/** The names in a topic template, in their order. */
export function namesIn({ template }: TopicTemplate): string[] {
  return [...template.matchAll(/\{([a-z_]+)\}/g)].map(([, name]) => name as string);
}

/**
 * Which device a request is for, and the values of its topic. They come from `values` by their names, else from
 * `device`: a template with one name takes it whole, one with several takes it cut at its slashes.
 * @returns `device`: the values in the order of the topic, with slashes between
 * @throws FieldloomError invalid_input
 */
export function addressOf(
  topic: TopicTemplate,
  { device, values = {} }: Pick<CommandRequest, 'device' | 'values'>,
): { device: string; levels: TopicParameters } {
  const names = namesIn(topic);
  const parts = names.length === 1 ? [device] : (device ?? '').split('/');
  const levels: TopicParameters = {};
  for (const [index, name] of names.entries()) {
    const given = values[name] ?? (parts.length === names.length ? parts[index] : undefined);
    if ((typeof given !== 'string' && typeof given !== 'number') || given === '') {
      const text = `${name} of topic ${topic.template} is ${JSON.stringify(given)}: accepted is text`;
      throw new FieldloomError('invalid_input', text, { pointer: `/${name}` });
    }
    levels[name] = String(given);
  }
  return { device: names.length === 0 ? topic.template : Object.values(levels).join('/'), levels };
}
