import type { SubscribeOptions } from '../../lib/core/link.js';

/** How to subscribe to what one gateway alone is to take, where several have the same share group. */
export const sharedOut = (connection: { share?: string } | undefined): SubscribeOptions =>
  connection?.share === undefined ? { qos: 1 } : { qos: 1, share: connection.share };
