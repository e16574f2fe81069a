#!/bin/sh
# Run Valkey, or a Sentinel, with a configuration in its volume: $1, and the lines after it, at the first start.
# Sentinels write there which server is the master. A start that forgot it would make the old one the master again.
set -eu
own=/data/$(basename "$1")
if [ ! -s "$own" ]; then
    cp "$1" "$own.new"
    shift
    for line; do
        echo "$line" >> "$own.new"
    done
    mv "$own.new" "$own"
fi
case $own in
    */sentinel.conf) exec docker-entrypoint.sh valkey-server "$own" --sentinel ;;
esac
# The image's own script: it gives the files to the user `valkey`, and goes on as this user.
exec docker-entrypoint.sh valkey-server "$own"
