#!/bin/sh
# Make the passwords of docker-compose.yml in the folder $1, at the first start; run by its service `passwords`.
# POSTGRES_PASSWORD, where it is set, replaces the generated one: a database keeps the password that it was created with.
set -eu
umask 077
cd "$1"

random() {
    od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'
}

# Written whole under another name first: a start that is interrupted leaves no partial file.
store() {
    printf '%s' "$2" > "$1.new"
    # A file is for one user: nobody else can read it, and asyncpg refuses what others could.
    [ "$(id -u)" -ne 0 ] || chown "$3" "$1.new"
    mv "$1.new" "$1"
}

password=${POSTGRES_PASSWORD:-}
if [ -z "$password" ]; then
    password=$([ -s postgres ] && cat postgres || random)
fi
store postgres "$password" 999          # the user of the image `postgres`
store pgpass "*:*:*:*:$password" 10001  # the user of our image
store replication "*:*:*:*:$password" 999
# PgBouncer runs as the same user.
store userlist.txt "\"smarttrip\" \"$(printf '%s' "$password" | sed 's/"/""/g')\"" 10001

elastic=$([ -s elastic ] && cat elastic || random)
store elastic "$elastic" 1000           # the user of the image `elasticsearch`
store elastic-client "$elastic" 10001
