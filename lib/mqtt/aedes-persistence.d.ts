/** The part of aedes-persistence 11 that broker-persistence.ts uses; the package's own types describe its callbacks. */
declare module 'aedes-persistence/asyncPersistence.js' {
  interface StoredSubscription {
    topic: string;
    qos: 0 | 1 | 2;
  }
  export default class MemoryPersistence {
    setup(broker: unknown): Promise<void>;
    addSubscriptions(client: { id: string }, subscriptions: StoredSubscription[]): Promise<void>;
    removeSubscriptions(client: { id: string }, filters: string[]): Promise<void>;
    subscriptionsByClient(client: { id: string }): Promise<StoredSubscription[]>;
    countOffline(): Promise<{ subsCount: number; clientsCount: number }>;
    subscriptionsByTopic(topic: string): Promise<(StoredSubscription & { clientId: string })[]>;
    cleanSubscriptions(client: { id: string }): Promise<void>;
  }
}
