import type { Duplex } from 'node:stream';
import type { ReadTurns } from './read-turns.js';

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
  /** Of all gates of the broker. */
  turns: ReadTurns;
}

/**
 * Stands between a client's stream and the broker (aedes), which reads with `stream.read()` at each `readable` event
 * and when it has done with the packets of its last read. Left alone it would read on however much it has not done
 * with, and at other times not even a ping while publishes wait for their handlers.
 *
 * - The gate reads the length in front of each packet and cuts the connection at one that is too large, before any of
 *   it is kept; before the login a far smaller limit holds, and the broker gets nothing but the CONNECT packet.
 * - After the login it reads in the broker's place, whenever there is something and as much as there is room for.
 *   Without room the socket fills up, and TCP slows the client down.
 */
export class ReadGate {
  readonly #stream: Duplex;
  readonly #options: GateOptions;
  readonly #read: () => Buffer | null;
  readonly #frames = new FrameCounter();
  #feed: ((bytes: Buffer) => void) | undefined;
  #denied = false;
  #waking = false;

  constructor(stream: Duplex, options: GateOptions) {
    this.#stream = stream;
    this.#options = options;
    const read = stream.read.bind(stream);
    this.#read = read;
    // 0 is how the stream itself starts its source, without taking anything.
    stream.read = (size?: number) => (size === 0 ? read(0) : this.#asked());
  }

  /**
   * The login is accepted and answered.
   * @param feed takes the bytes of whole or partial packets
   */
  open(feed: (bytes: Buffer) => void): void {
    this.#feed = feed;
    this.#stream.on('readable', () => this.#pump());
    this.#wake();
  }

  /** Reads on where there was no room. */
  wakeIfDenied(): void {
    if (this.#denied) this.#wake();
  }

  /** In another turn, once for all that ends in this one. */
  #wake(): void {
    if (this.#waking) return;
    this.#waking = true;
    setImmediate(() => {
      this.#waking = false;
      this.#pump();
    });
  }

  readonly #pump = (): void => {
    const { limits, room, turns } = this.#options;
    while (!this.#stream.destroyed && this.#feed !== undefined) {
      const most = room();
      this.#denied = most === 0;
      if (this.#denied) return;
      if (turns.left === 0) {
        turns.wait(this.#pump);
        return;
      }
      const before = this.#frames.complete;
      const bytes = this.#take(Math.min(most, turns.left), limits.packetBytes);
      if (bytes === null) return;
      turns.take(this.#frames.complete - before);
      this.#feed(bytes);
    }
  };

  /** The broker wants to read: its CONNECT packet; later it has only done with what it had. */
  #asked(): Buffer | null {
    if (this.#feed === undefined) {
      return this.#frames.complete === 0 ? this.#take(1, this.#options.limits.connectBytes) : null;
    }
    this.wakeIfDenied();
    return null;
  }

  #take(packets: number, limit: number): Buffer | null {
    const chunk = this.#read();
    if (chunk === null) return null;
    const passed = this.#frames.pass(chunk, limit, packets);
    if (passed === undefined) {
      const when = this.#feed === undefined ? ' before its login' : '';
      this.#stream.destroy(new Error(`client sent a packet of more than ${limit} bytes${when}`));
      return null;
    }
    if (passed === chunk.length) return chunk;
    // Back into the stream, not kept here: so that its end is not told before all is read.
    this.#stream.unshift(chunk.subarray(passed));
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
