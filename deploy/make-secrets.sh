#!/bin/sh
# Makes what compose.yaml takes from deploy/secrets, once; what is there already stays.
# Usage: deploy/make-secrets.sh
set -eu
cd "$(dirname "$0")"
umask 022
mkdir -p secrets
# The folder is its owner's alone; the files in it are read by the users of the containers.
chmod 700 secrets
random() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }
make() { if [ ! -s "secrets/$1" ]; then random >"secrets/$1"; fi; }
for name in jwt-secret broker-secret database-password database-root-password; do make "$name"; done
printf 'mysql://fieldloom:%s@database:3306/fieldloom' "$(cat secrets/database-password)" >secrets/database-url
sed "s|@BROKER_SECRET@|$(cat secrets/broker-secret)|" emqx.conf.template >secrets/emqx.conf
# The gateways' login at the broker: filled by the first step of docs/scaling.md.
for name in mqtt-username mqtt-password; do [ -e "secrets/$name" ] || : >"secrets/$name"; done
