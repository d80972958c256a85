import { randomBytes } from 'node:crypto';
import { type Clock, systemClock } from '../core/clock.js';
import { FieldloomError } from '../core/errors.js';
import type { UserPrincipal } from './principal.js';
import type { UserLookup } from './token.js';

export const TICKET_MS = 60_000;
/** Tickets of one user at once; past it the oldest is void, so that nobody fills the memory or takes others' place. */
const MOST_OF_ONE_USER = 50;

/**
 * One-time tickets for the WebSockets of browsers, which can send no header: a token in a URL would end up in logs,
 * a ticket there is worth nothing once it is used.
 */
export class Tickets {
  /** By user, then ticket: when it ends. Oldest first. */
  readonly #byUser = new Map<number, Map<string, number>>();

  constructor(
    private readonly users: UserLookup,
    private readonly clock: Clock = systemClock,
  ) {}

  /** Tickets that are kept, used by nobody yet. */
  get size(): number {
    let size = 0;
    for (const tickets of this.#byUser.values()) size += tickets.size;
    return size;
  }

  /** @returns the ticket and when it ends, epoch milliseconds UTC */
  issue(user: UserPrincipal): { ticket: string; expiresAt: number } {
    this.#dropExpired();
    const tickets = this.#byUser.get(user.userId) ?? new Map<string, number>();
    this.#byUser.set(user.userId, tickets);
    if (tickets.size >= MOST_OF_ONE_USER) tickets.delete(tickets.keys().next().value as string);
    const ticket = `${user.userId}.${randomBytes(24).toString('base64url')}`;
    const expiresAt = this.clock.now() + TICKET_MS;
    tickets.set(ticket, expiresAt);
    return { ticket, expiresAt };
  }

  /** The user of a ticket, once. @throws FieldloomError invalid_token */
  async redeem(ticket: string): Promise<UserPrincipal> {
    const userId = Number(ticket.slice(0, ticket.indexOf('.')));
    const tickets = this.#byUser.get(userId);
    const expiresAt = tickets?.get(ticket);
    tickets?.delete(ticket);
    if (tickets?.size === 0) this.#byUser.delete(userId);
    const user =
      expiresAt !== undefined && expiresAt > this.clock.now() ? await this.users.user(userId) : undefined;
    if (user === undefined) {
      throw new FieldloomError(
        'invalid_token',
        'the ticket is unknown, used or older than 60 s: ask for another',
      );
    }
    return user;
  }

  #dropExpired(): void {
    const now = this.clock.now();
    for (const [userId, tickets] of this.#byUser) {
      for (const [ticket, expiresAt] of tickets) {
        if (expiresAt > now) break;
        tickets.delete(ticket);
      }
      if (tickets.size === 0) this.#byUser.delete(userId);
    }
  }
}
