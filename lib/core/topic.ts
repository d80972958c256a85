import { FieldloomError } from './errors.js';

/** Values of the `{names}` of a template. */
export type TopicParameters = Record<string, string>;

export interface TopicTemplate {
  readonly template: string;
  /** The MQTT filter that receives every topic of this template: each name is a `+`. */
  readonly filter: string;
  /** Values by name, or undefined where the topic is not of this template. */
  match(topic: string): TopicParameters | undefined;
  /** @throws FieldloomError invalid_topic_parameter where a value is missing, empty or holds + # / or control characters */
  format(parameters: TopicParameters): string;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
const UNSAFE = /[+#/\u0000-\u001f\u007f-\u009f\ufffe\uffff]/;

/** True for a value that may stand as one level of a topic: an id with a wildcard in it would widen an ACL. */
export function isTopicLevel(value: string): boolean {
  return value !== '' && !UNSAFE.test(value);
}

/**
 * Compiles a template such as `/stores/{store_id}/controllers/{controller_id}/metrics`. The leading slash is part
 * of the topic. The same templates serve MQTT topics, REST paths and WebSocket paths.
 */
export function topicTemplate(template: string): TopicTemplate {
  const levels = template.split('/').map((level) => {
    const name = /^\{([a-z_]+)\}$/.exec(level)?.[1];
    if (name === undefined && /[{}+#]/.test(level)) {
      throw new FieldloomError(
        'invalid_topic_filter',
        `template ${template}: a level is literal or one {name}`,
      );
    }
    return name === undefined ? { literal: level } : { name };
  });
  return {
    template,
    filter: levels.map((level) => level.literal ?? '+').join('/'),
    match(topic) {
      const parts = topic.split('/');
      if (parts.length !== levels.length) return undefined;
      const parameters: TopicParameters = {};
      for (let index = 0; index < levels.length; index += 1) {
        const level = levels[index] as (typeof levels)[number];
        const part = parts[index] as string;
        if (level.name === undefined) {
          if (part !== level.literal) return undefined;
        } else {
          if (part === '') return undefined;
          parameters[level.name] = part;
        }
      }
      return parameters;
    },
    format(parameters) {
      return levels
        .map((level) => {
          if (level.name === undefined) return level.literal;
          const value = parameters[level.name];
          if (value === undefined || !isTopicLevel(value)) {
            throw new FieldloomError(
              'invalid_topic_parameter',
              `${level.name} of topic ${template} is ${JSON.stringify(value)}: ` +
                'accepted is text without +, #, / and control characters',
              { details: { parameter: level.name } },
            );
          }
          return value;
        })
        .join('/');
    },
  };
}

/**
 * Whether an MQTT topic filter matches a topic (MQTT 3.1.1, 4.7): `+` is one level, a last `#` any number, and
 * a filter that begins with a wildcard does not see topics that begin with `$`.
 */
export function filterMatches(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && (filter.startsWith('+') || filter.startsWith('#'))) return false;
  const wanted = filter.split('/');
  const levels = topic.split('/');
  for (let index = 0; index < wanted.length; index += 1) {
    const level = wanted[index];
    if (level === '#') return true;
    if (index >= levels.length) return false;
    if (level !== '+' && level !== levels[index]) return false;
  }
  return wanted.length === levels.length;
}

/** @throws FieldloomError invalid_topic_filter where `filter` is not a filter of MQTT 3.1.1 */
export function checkFilter(filter: string): void {
  const levels = filter.split('/');
  const valid =
    filter !== '' &&
    !filter.includes('\0') &&
    levels.every((level, index) =>
      level.includes('#')
        ? level === '#' && index === levels.length - 1
        : level === '+' || !level.includes('+'),
    );
  if (!valid) {
    throw new FieldloomError(
      'invalid_topic_filter',
      `topic filter ${JSON.stringify(filter)}: + stands for one whole level, # for all from the last level on`,
    );
  }
}
