import type { Duplex } from 'node:stream';

export interface GateLimits {
  /** Largest CONNECT packet, bytes after its fixed header. */
  connectBytes: number;
  /** Largest packet after that. */
  packetBytes: number;
}

export interface GateOptions {
  limits: GateLimits;
  /**
   * Asked before each read: how many complete packets may be handed over. 0 leaves what has arrived where it is; call
   * `wakeIfDenied` when that changes.
   */
  room(): number;
}

/** More than the packets that a client can have under way (MQTT has 65,535 message ids). */
const MOST_EVENTS = 70_000;

/**
 * Stands between a client's stream and the broker, which reads with `stream.read()` at each `readable` event and when
 * it has done with all packets of the last read.
 *
 * - It reads the length in front of each packet and cuts the connection at one that is too large, before any of it is
 *   kept; before the login a far smaller limit holds and nothing but the CONNECT packet is handed over.
 * - It hands nothing over while the broker holds too much for this client, so that the socket fills up and TCP slows
 *   the client down. (The broker alone would read on at each `readable` event, however much it has not done with.)
 * - While it may read, it makes the broker read on at each `readable` event, so that a ping is answered although
 *   publishes before it wait for their handlers.
 */
export class ReadGate {
  readonly #stream: Duplex;
  readonly #options: GateOptions;
  readonly #frames = new FrameCounter();
  #limit: number;
  #loggedIn = false;
  #connectPassed = false;
  #denied = false;
  #asked = false;
  #waking = false;

  constructor(stream: Duplex, options: GateOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#limit = options.limits.connectBytes;
    const read = stream.read.bind(stream);
    // Only this stream: 0 is how the stream itself starts its source, without taking anything.
    stream.read = (size?: number) => (size === 0 ? read(0) : this.#take(read));
  }

  /** After the broker has put its own listener on the stream. */
  watch(): void {
    this.#stream.on('readable', () => {
      if (!this.#waking && !this.#asked) this.wake();
      this.#asked = false;
    });
  }

  /** The login is accepted: larger packets, and more than one. */
  open(): void {
    this.#loggedIn = true;
    this.#limit = this.#options.limits.packetBytes;
  }

  /** Makes the broker read what was kept back. */
  wakeIfDenied(): void {
    if (this.#denied) setImmediate(() => this.wake());
  }

  wake(): void {
    if (this.#stream.destroyed || !this.#loggedIn || this.#options.room() === 0) return;
    this.#waking = true;
    this.#asked = false;
    // The broker counts each event against the packets it has not done with, and reads when none is left.
    for (let events = 0; events < MOST_EVENTS && !this.#asked && !this.#stream.destroyed; events += 1) {
      this.#stream.emit('readable');
    }
    this.#waking = false;
    this.#asked = false;
  }

  #take(read: () => Buffer | null): Buffer | null {
    this.#asked = true;
    const room = this.#loggedIn ? this.#options.room() : this.#connectPassed ? 0 : 1;
    this.#denied = room === 0;
    if (this.#denied) return null;
    const chunk = read();
    if (chunk === null) return null;
    const passed = this.#frames.pass(chunk, this.#limit, room);
    if (passed === undefined) {
      const when = this.#loggedIn ? '' : ' before its login';
      this.#stream.destroy(new Error(`client sent a packet of more than ${this.#limit} bytes${when}`));
      return null;
    }
    if (this.#frames.complete > 0) this.#connectPassed = true;
    // Back into the stream, not kept here: so that its end is not told before all is read.
    if (passed < chunk.length) this.#stream.unshift(chunk.subarray(passed));
    return chunk.subarray(0, passed);
  }
}

/** Follows the packets in a stream of bytes by their fixed headers (MQTT 3.1.1, 2.2). */
class FrameCounter {
  #bodyLeft = 0;
  #inHeader = false;
  #length = 0;
  #factor = 1;
  /** Complete packets so far. */
  complete = 0;

  /** How many bytes hold at most `most` complete packets; undefined where a packet is larger than `limit`. */
  pass(chunk: Buffer, limit: number, most: number): number | undefined {
    let at = 0;
    const last = this.complete + most;
    while (at < chunk.length && this.complete < last) {
      if (this.#bodyLeft > 0) {
        const step = Math.min(this.#bodyLeft, chunk.length - at);
        at += step;
        this.#bodyLeft -= step;
        if (this.#bodyLeft === 0) this.complete += 1;
      } else if (!this.#inHeader) {
        this.#inHeader = true;
        this.#length = 0;
        this.#factor = 1;
        at += 1;
      } else {
        const byte = chunk[at] as number;
        at += 1;
        this.#length += (byte & 0x7f) * this.#factor;
        this.#factor *= 128;
        // Four bytes of length at most; a fifth is malformed and as good as too large.
        if (this.#length > limit || (byte >= 0x80 && this.#factor >= 128 ** 4)) return undefined;
        if (byte < 0x80) {
          this.#inHeader = false;
          this.#bodyLeft = this.#length;
          if (this.#length === 0) this.complete += 1;
        }
      }
    }
    return at;
  }
}
