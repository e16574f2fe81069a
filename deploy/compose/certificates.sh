#!/bin/sh
# Make an authority and the certificates of the gateway and the Elasticsearch nodes in the folder $1, at the first start.
# Run in the image of Postgres, which has openssl, by docker-compose.yml's profile `split`.
set -eu
umask 077
cd "$1"

# Make the certificate of the folder $1, with these options of openssl; its name is written last, when it is whole.
make() {
    folder=$1
    shift
    [ ! -s "$folder/$folder.crt" ] || return 0
    mkdir -p "$folder"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 "$@" \
        -keyout "$folder/$folder.key" -out "$folder/new.crt"
    mv "$folder/new.crt" "$folder/$folder.crt"
}

# Sign the certificate of the folder $1 for the names $2.
sign() {
    make "$1" -CA ca/ca.crt -CAkey ca/ca.key -subj "/CN=SmartTrip $1" \
        -addext basicConstraints=critical,CA:false -addext "subjectAltName=$2"
}

make ca -subj "/CN=SmartTrip authority" -addext keyUsage=critical,keyCertSign
sign nodes DNS:elasticsearch-1,DNS:elasticsearch-2,DNS:elasticsearch-3,DNS:localhost,IP:127.0.0.1
sign gateway DNS:localhost,IP:127.0.0.1
# nginx reads its pair as root.
cp gateway/gateway.crt fullchain.pem
cp gateway/gateway.key privkey.pem
# Certificates are for everybody. The nodes run as user 1000; nobody else needs a key.
chmod 755 . ca nodes gateway
chmod 644 ca/ca.crt nodes/nodes.crt gateway/gateway.crt fullchain.pem
[ "$(id -u)" -ne 0 ] || chown 1000 nodes/nodes.key
