#!/bin/sh
# Takes secrets from files, so that none stands in the environment of the container's description: for each NAME_FILE
# the content of that file is NAME.
set -eu
for name in DATABASE_URL MQTT_USERNAME MQTT_PASSWORD; do
  eval "file=\${${name}_FILE:-}"
  if [ -n "$file" ]; then
    value=$(cat "$file")
    export "$name=$value"
  fi
done
# Secrets that all gateways share: tokens of one are good at the others, and the broker knows one secret.
for name in jwt-secret broker-secret; do
  if [ -f "/run/secrets/$name" ]; then ln -sf "/run/secrets/$name" "$FIELDLOOM_DIR/$name"; fi
done
exec "$@"
