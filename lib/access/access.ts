import { type Clock, systemClock, type Timer } from '../core/clock.js';
import { asError, FieldloomError } from '../core/errors.js';
import { type Log, silentLog } from '../core/log.js';
import type { Authority, ConnectRequest } from '../mqtt/authority.js';
import type { Store } from '../store/store.js';
import { addressKey, FailedAttempts } from './attempts.js';
import { Changes } from './changes.js';
import type { Client, ClientIdentity, Login } from './client.js';
import { Clients, type MosquittoLogin } from './clients.js';
import { SECRET_COST, USER_COST, VerifiedPasswords, verifyPassword } from './password.js';
import { createPolicy, type Policy } from './policy.js';
import type { MqttPrincipal, UserPrincipal } from './principal.js';
import { type UserRights, Users } from './users.js';

export interface AccessOptions {
  clock?: Clock;
  log?: Log;
  /** What may stand before the topics of the protocols (policy.ts). */
  prefixes?: readonly string[];
}

/** How often the store is asked for changes by other processes, ms: a revocation has to arrive within 5 s. */
const LOOK_EVERY_MS = 2_000;
/** Logins of people that wait for their turn: more than this is no crowd but an attack. */
const MOST_WAITING = 100;

/** Logins, users, and who may do what, on a store. */
export class Access implements Authority {
  /** MQTT connections let in, refused for their login, and refused unseen after too many failures. */
  readonly counts = { accepted: 0, refused: 0, limited: 0 };
  readonly #changes: Changes;
  readonly #clients: Clients;
  readonly #users: Users;
  readonly #policy: Policy;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #verified = new VerifiedPasswords();
  readonly #failures: FailedAttempts;
  readonly #userFailures: FailedAttempts;
  readonly #revoked = new Set<(username: string) => void>();
  readonly #userChanged = new Set<(userId: number) => void>();
  /** The revision up to which all changes were told. */
  #seen = 0;
  #looking: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;
  #closed = false;
  #complained = false;
  #userTurn: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  private constructor(store: Store, { clock = systemClock, log = silentLog, prefixes }: AccessOptions) {
    this.#clock = clock;
    this.#log = log;
    this.#policy = createPolicy(prefixes);
    this.#changes = new Changes(store, clock);
    this.#clients = new Clients(store, this.#changes);
    this.#users = new Users(store, this.#changes);
    this.#failures = new FailedAttempts(clock);
    this.#userFailures = new FailedAttempts(clock);
  }

  /** Begins to look for changes by other processes; `close` ends that. The store stays the caller's. */
  static async open(store: Store, options: AccessOptions = {}): Promise<Access> {
    const access = new Access(store, options);
    access.#seen = await access.#changes.revision();
    access.#lookLater();
    return access;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#revoked.clear();
    this.#userChanged.clear();
  }

  // --- the door of the broker ---

  mayPublish(principal: MqttPrincipal, topic: string): boolean {
    return this.#policy.mayPublish(principal, topic);
  }

  maySubscribe(principal: MqttPrincipal, filter: string): boolean {
    return this.#policy.maySubscribe(principal, filter);
  }

  /** @throws what the store throws: then nobody was refused, and the machine should come again */
  async authenticate(request: ConnectRequest): Promise<MqttPrincipal | undefined> {
    const key = request.address === undefined ? undefined : addressKey(request.address);
    if (key !== undefined && this.#failures.refusedForMs(key) > 0) {
      this.counts.limited += 1;
      return undefined;
    }
    const { username, password } = request;
    // Who sends no login guesses none: a client without settings must not lock out its whole network.
    if (username === undefined || password === undefined) {
      this.counts.refused += 1;
      return undefined;
    }
    const principal = await this.#login(username, password);
    if (principal === undefined) {
      this.counts.refused += 1;
      if (key !== undefined) this.#countFailure(key);
      return undefined;
    }
    this.counts.accepted += 1;
    return principal;
  }

  #countFailure(key: string): void {
    this.#failures.failed(key);
    if (this.#failures.refusedForMs(key) > 0) {
      this.#log.warn(`${key}: too many failed MQTT logins, refused for a minute`);
    }
  }

  async #login(username: string, password: Buffer): Promise<MqttPrincipal | undefined> {
    for (;;) {
      const seen = this.#seen;
      const client = await this.#clients.find(username);
      // Told first, then let in: so that who comes with a new password is not sent away for the old one.
      if (client !== undefined && client.changedAt > seen) {
        await this.#look();
        if (this.#seen !== seen) continue;
      }
      const stored = client?.revoked ? undefined : client?.password;
      const known = stored !== undefined && this.#verified.matches(username, password, stored);
      const right = known || (await verifyPassword(password, stored, SECRET_COST));
      // Revoked while its password was checked: its revocation was told before there was a session to end.
      if (this.#seen !== seen) continue;
      if (!right || client === undefined || stored === undefined) return undefined;
      if (!known) this.#verified.remember(username, password, stored);
      return client.principal;
    }
  }

  /** Also for a login whose password was changed. */
  onRevoked(listener: (username: string) => void): () => void {
    this.#revoked.add(listener);
    return () => this.#revoked.delete(listener);
  }

  // --- MQTT logins ---

  /** Whose login this is, for a broker that has checked the password before; undefined: nobody's, or revoked. */
  async principalOf(username: string): Promise<MqttPrincipal | undefined> {
    const client = await this.#clients.find(username);
    return client === undefined || client.revoked ? undefined : client.principal;
  }

  /** What Mosquitto is told: all logins that are not revoked. */
  mosquittoLogins(): Promise<MosquittoLogin[]> {
    return this.#clients.mosquittoLogins();
  }

  /** @throws FieldloomError conflict where this machine, controller or device has a login */
  addClient(identity: ClientIdentity): Promise<Login> {
    return this.#clients.add(identity);
  }

  /** Logins that are not revoked, newest first. @param before `createdAt` of the last one already seen */
  listClients(page: { limit?: number; before?: number } = {}): Promise<Client[]> {
    return this.#clients.list(page);
  }

  /** @throws FieldloomError not_found */
  async rotateClient(username: string): Promise<Login> {
    const login = await this.#clients.rotate(username);
    await this.#look();
    return login;
  }

  /** @throws FieldloomError not_found */
  async revokeClient(username: string): Promise<void> {
    await this.#clients.revoke(username);
    await this.#look();
  }

  // --- people and programs ---

  /** @throws FieldloomError invalid_input, conflict where the name is taken */
  addUser(name: string, password: string, rights: Partial<UserRights> = {}): Promise<UserPrincipal> {
    return this.#users.add(name, password, { admin: false, stores: [], companies: [], ...rights });
  }

  listUsers(): Promise<UserPrincipal[]> {
    return this.#users.list();
  }

  /** Undefined for an unknown or revoked user. */
  user(userId: number): Promise<UserPrincipal | undefined> {
    return this.#users.find(userId);
  }

  async userByName(name: string): Promise<UserPrincipal | undefined> {
    return (await this.#users.findByName(name))?.user;
  }

  /** Replaces what a user may. @throws FieldloomError invalid_input, not_found */
  async setUserRights(name: string, rights: UserRights): Promise<void> {
    await this.#users.setRights(name, rights);
    await this.#look();
  }

  /** @throws FieldloomError not_found */
  async revokeUser(name: string): Promise<void> {
    await this.#users.revoke(name);
    await this.#look();
  }

  /** Calls back within 5 s of a revocation, or of a change of what the user may, also one by another process. */
  onUserChanged(listener: (userId: number) => void): () => void {
    this.#userChanged.add(listener);
    return () => this.#userChanged.delete(listener);
  }

  /**
   * Logins are checked one after another: one takes 32 MiB for a while, and a burst of guesses must not be checked
   * before its first failures count.
   * @throws FieldloomError unauthenticated, too_many_attempts
   */
  async verifyUser(name: string, password: string, address: string): Promise<UserPrincipal> {
    if (this.#waiting >= MOST_WAITING) throw tooManyAttempts(1_000);
    this.#waiting += 1;
    const turn = this.#userTurn.then(() => this.#verifyUser(name, password, address));
    this.#userTurn = turn.catch(() => undefined);
    return turn.finally(() => {
      this.#waiting -= 1;
    });
  }

  async #verifyUser(name: string, password: string, address: string): Promise<UserPrincipal> {
    const keys = [`address ${addressKey(address)}`, `name ${name.slice(0, 64)}`];
    const refusedForMs = Math.max(...keys.map((key) => this.#userFailures.refusedForMs(key)));
    if (refusedForMs > 0) throw tooManyAttempts(refusedForMs);
    const found = await this.#users.findByName(name);
    if (await verifyPassword(password, found?.password, USER_COST))
      return (found as NonNullable<typeof found>).user;
    for (const key of keys) this.#userFailures.failed(key);
    throw new FieldloomError('unauthenticated', 'no active user has this name and password');
  }

  // --- changes, also by other processes ---

  #lookLater(): void {
    this.#timer = this.#clock.setTimer(() => {
      this.#look()
        .then(
          () => {
            this.#complained = false;
          },
          (error: unknown) => {
            if (!this.#complained)
              this.#log.warn(`cannot look for revoked logins: ${asError(error).message}`);
            this.#complained = true;
          },
        )
        .finally(() => {
          if (!this.#closed) this.#lookLater();
        });
    }, LOOK_EVERY_MS);
  }

  /** Tells of all changes since the last look. One look at a time: none is told twice. */
  #look(): Promise<void> {
    const look = this.#looking.then(() => this.#tellChanges());
    this.#looking = look.catch(() => undefined);
    return look;
  }

  async #tellChanges(): Promise<void> {
    if (this.#closed) return;
    const before = this.#seen;
    const now = await this.#changes.revision();
    if (now === before) return;
    if (now < before) {
      // An older database was put in place: nobody that was let in by the newer one may stay unseen.
      this.#seen = now;
      this.#log.warn('the logins were restored from a backup: all sessions begin anew');
      for (const username of this.#verified.usernames()) this.#tellRevoked(username);
      return;
    }
    const clients = await this.#clients.changed(before, now);
    const users = await this.#users.changed(before, now);
    this.#seen = now;
    for (const username of clients) this.#tellRevoked(username);
    for (const userId of users) this.#tell(this.#userChanged, userId);
  }

  #tellRevoked(username: string): void {
    this.#verified.forget(username);
    this.#tell(this.#revoked, username);
  }

  #tell<T>(listeners: ReadonlySet<(value: T) => void>, value: T): void {
    for (const listener of [...listeners]) {
      try {
        listener(value);
      } catch (error) {
        this.#log.error(`a listener of revocations failed: ${asError(error).message}`);
      }
    }
  }
}

function tooManyAttempts(forMs: number): FieldloomError {
  const seconds = Math.max(1, Math.ceil(forMs / 1000));
  return new FieldloomError('too_many_attempts', `too many failed logins: try again in ${seconds} s`, {
    details: { retry_after_s: seconds },
  });
}
