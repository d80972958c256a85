import type { MqttPrincipal } from '../access/principal.js';

export interface ConnectRequest {
  username: string | undefined;
  password: Buffer | undefined;
  clientId: string;
  /** Remote address, for the limit on failed logins; undefined where the broker that asks does not tell it. */
  address: string | undefined;
}

/** What the embedded broker asks of access control (access.md "MQTT clients"). */
export interface Authority {
  /** Undefined: refused. Takes the same time for a wrong password and an unknown user. */
  authenticate(request: ConnectRequest): Promise<MqttPrincipal | undefined>;
  mayPublish(principal: MqttPrincipal, topic: string): boolean;
  maySubscribe(principal: MqttPrincipal, filter: string): boolean;
  /** Calls back with the user name within 5 s of a revocation or rotation, also one by another process. */
  onRevoked(listener: (username: string) => void): () => void;
}
