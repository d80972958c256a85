/** The sample of the laundry protocol document, as it stands there. */
export const STORE_ID = '6ba7b811-9dad-11d1-80b4-00c04fd430c8';
export const CONTROLLER_ID = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';
export const METRICS_TOPIC = `/stores/${STORE_ID}/controllers/${CONTROLLER_ID}/metrics`;
export const SEED_MESSAGE = `{
  "version": "1.0.0",
  "event_type": "machine_state",
  "timestamp": "2024-01-15T16:00:00+07:00",
  "correlation_id": "550e8400-e29b-41d4-a716-446655440004",
  "controller_id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
  "store_id": "6ba7b811-9dad-11d1-80b4-00c04fd430c8",
  "payload": {
    "machines": [
      {
        "machine_type": "washer",
        "relay_id": 1,
        "status": "busy",
        "last_updated": "2024-01-15T15:58:30+07:00"
      },
      {
        "machine_type": null,
        "relay_id": 2,
        "status": "idle",
        "last_updated": "2024-01-15T15:45:15+07:00"
      }
    ]
  }
}
`;
