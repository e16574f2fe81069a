#!/bin/sh
# Let the standby of docker-compose.yml's profile `split` follow; run by the image `postgres` when it makes its database.
# A database that was made before gets the same line by hand.
set -eu
echo "host replication smarttrip all scram-sha-256" >> "$PGDATA/pg_hba.conf"
