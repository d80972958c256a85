import type { Clock, Timer } from '../core/clock.js';
import { FieldloomError } from '../core/errors.js';
import type { Profile } from './profile.js';
import { formatReplay, type ReplayMessage, type ServerMessage } from './protocol.js';
import { createReplay, type Replay, type ReplayStep } from './replay.js';

export interface PlayersOptions {
  clock: Clock;
  steadyNow(): number;
  /** A saved one that the machine's clients may see. */
  profile(profileId: string): Promise<Profile | undefined>;
  /** To the connections of one client. */
  send(client: string, message: ServerMessage): void;
  holdsLock(client: string): boolean;
  setControl(client: string, channel: string, value: number): void;
}

/** The replays of a machine's clients: each has its own, for a replay only shows. */
export interface Players {
  /** @throws FieldloomError not_found, invalid_input; conflict where the step is not one of this state */
  hear(client: string, message: ReplayMessage): Promise<void>;
  /** A reading of the roast that goes on. */
  reading(bt: number | null, turned: boolean): void;
  stop(client: string): void;
  close(): void;
}

interface Player {
  replay: Replay;
  /** Moves the machine's controls, while its client holds the lock. */
  actuate: boolean;
  timer: Timer | undefined;
}

export function createPlayers(options: PlayersOptions): Players {
  const { clock, steadyNow, send, holdsLock, setControl } = options;
  const players = new Map<string, Player>();

  function stop(client: string): void {
    players.get(client)?.timer?.cancel();
    players.delete(client);
  }

  function show(client: string, player: Player, { point, controls, ended }: ReplayStep): void {
    if (point !== null) send(client, formatReplay(point));
    if (player.actuate && holdsLock(client)) {
      for (const { channel, value } of controls) setControl(client, channel, value);
    }
    if (ended) stop(client);
  }

  function go(client: string, player: Player): void {
    if (players.get(client) !== player) return;
    show(client, player, player.replay.at(steadyNow()));
    wait(client, player);
  }

  function wait(client: string, player: Player): void {
    player.timer?.cancel();
    if (players.get(client) !== player) return;
    const waitMs = player.replay.waitMs(steadyNow());
    player.timer = waitMs === undefined ? undefined : clock.setTimer(() => go(client, player), waitMs);
  }

  const known = (client: string): Player => {
    const player = players.get(client);
    if (player === undefined) throw new FieldloomError('conflict', 'there is no replay: accepted is start');
    return player;
  };

  async function start(client: string, message: Extract<ReplayMessage, { action: 'start' }>) {
    const profile = await options.profile(message.profileId);
    if (profile === undefined) {
      throw new FieldloomError('not_found', `profile_id ${message.profileId}: there is no such profile`);
    }
    stop(client);
    const { speed, by, positionMs, actuate } = message;
    const replay = createReplay(profile, { speed, by, positionMs }, steadyNow());
    const player: Player = { replay, actuate, timer: undefined };
    players.set(client, player);
    go(client, player);
  }

  return {
    async hear(client, message) {
      if (message.action === 'start') return start(client, message);
      const player = known(client);
      const now = steadyNow();
      switch (message.action) {
        case 'pause':
          player.replay.pause(now);
          break;
        case 'resume':
          player.replay.resume(now, message.speed);
          break;
        case 'seek':
          show(client, player, player.replay.seek(message.positionMs, now));
          break;
        case 'stop':
          stop(client);
          return;
      }
      wait(client, player);
    },
    reading(bt, turned) {
      for (const [client, player] of players) show(client, player, player.replay.reading(bt, turned));
    },
    stop,
    close() {
      for (const client of [...players.keys()]) stop(client);
    },
  };
}
