import { FieldloomError } from '../core/errors.js';
import type { MosquittoLogin } from './clients.js';
import type { Policy } from './policy.js';

export interface MosquittoFiles {
  /** Content for `password_file` and `acl_file`. */
  passwords: string;
  acl: string;
  /** User names that are in neither, since their passwords were made before Mosquitto's hashes were kept. */
  unhashed: string[];
}

/**
 * Checks that Mosquitto reads a topic as it is written. Its parser drops spaces around a topic.
 * @throws FieldloomError invalid_input
 */
function checkTopic(username: string, topic: string): string {
  if (topic.trim() === topic) return topic;
  throw new FieldloomError(
    'invalid_input',
    `login ${username}: Mosquitto cannot be told of the topic ${JSON.stringify(topic)}, which begins or ends with a space`,
  );
}

/**
 * What Mosquitto is to know: each login with its hash and its topics, literally (access.md "Other brokers").
 * Mosquitto grants every subscription, and delivers to it what the ACL file lets the client read.
 */
export function mosquittoFiles(
  logins: readonly MosquittoLogin[],
  policy: Pick<Policy, 'rights'>,
): MosquittoFiles {
  const passwords: string[] = [];
  const acl: string[] = [];
  const unhashed: string[] = [];
  for (const { principal, hash } of logins) {
    const { username } = principal;
    if (hash === undefined) {
      unhashed.push(username);
      continue;
    }
    const { publish, subscribe } = policy.rights(principal);
    const line = (access: string) => (topic: string) => `topic ${access} ${checkTopic(username, topic)}`;
    passwords.push(`${username}:${hash}\n`);
    acl.push(
      [`user ${username}`, ...publish.map(line('write')), ...subscribe.map(line('read')), '', ''].join('\n'),
    );
  }
  return { passwords: passwords.join(''), acl: acl.join(''), unhashed };
}
