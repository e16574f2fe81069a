#!/bin/sh
# Run a command with the password of Elasticsearch, which was made at the first start, in its URL.
set -eu
password=$(cat /run/passwords/elastic-client)
ELASTICSEARCH_URL=$(printf '%s' "$ELASTICSEARCH_URL" | sed "s|https://|https://elastic:$password@|g")
export ELASTICSEARCH_URL
exec "$@"
