#!/bin/sh
# A standby that streams from `split-postgres`: copied at the first start. Run by docker-compose.yml's profile `split`.
set -eu
primary="host=split-postgres user=smarttrip passfile=/run/passwords/replication"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    # The slot keeps what the standby has not got yet, however long it is away (the primary's max_slot_wal_keep_size).
    until psql --quiet --output=/dev/null --command="SELECT pg_create_physical_replication_slot('standby')
            WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'standby')" "$primary" &&
        pg_basebackup --dbname="$primary" --pgdata="$PGDATA" --slot=standby --write-recovery-conf --checkpoint=fast; do
        # Left by an attempt that broke off.
        find "$PGDATA" -mindepth 1 -delete
        sleep 1
    done
fi
exec postgres
