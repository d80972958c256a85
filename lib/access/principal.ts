/** Who is at the door, once it is known. MQTT clients by login, people and programs by token. */
export type Principal = MqttPrincipal | UserPrincipal;

export type MqttPrincipal =
  | { role: 'machine'; username: string; company: string; machine: string }
  | { role: 'controller'; username: string; storeId: string; controllerId: string }
  | { role: 'device'; username: string; device: string }
  | { role: 'service'; username: string };

export interface UserPrincipal {
  role: 'user';
  userId: number;
  username: string;
  /** May read and change everything, logins included. */
  admin: boolean;
  companies: string[];
  stores: string[];
}
