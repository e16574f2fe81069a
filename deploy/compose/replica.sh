#!/bin/sh
# A standby that streams from `postgres`: copied at the first start. Run by docker-compose.yml's profile `split`.
set -eu
primary="host=postgres user=smarttrip passfile=/run/passwords/replication"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    until pg_basebackup --dbname="$primary" --pgdata="$PGDATA" --write-recovery-conf --checkpoint=fast; do
        # Left by an attempt that broke off.
        find "$PGDATA" -mindepth 1 -delete
        sleep 1
    done
fi
exec postgres
