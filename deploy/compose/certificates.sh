#!/bin/sh
# Make an authority and the certificates of the gateway and the Elasticsearch nodes in the folder $1, at the first start.
# Run in the image of Elasticsearch, by docker-compose.yml's profile `split`.
set -eu
umask 022
cd "$1"
tool=/usr/share/elasticsearch/bin/elasticsearch-certutil

if [ ! -s ca/ca.crt ]; then
    "$tool" ca --silent --pem --out "$PWD/ca.zip"
    unzip -oq ca.zip
fi
for name in nodes gateway; do
    [ "$name" = nodes ] && names=elasticsearch-1,elasticsearch-2,elasticsearch-3,localhost || names=localhost
    if [ ! -s "$name/$name.crt" ]; then
        "$tool" cert --silent --pem --name "$name" --dns "$names" --ip 127.0.0.1 \
            --ca-cert ca/ca.crt --ca-key ca/ca.key --out "$PWD/$name.zip"
        unzip -oq "$name.zip"
    fi
done
# nginx reads its pair as root.
cp gateway/gateway.crt fullchain.pem
cp gateway/gateway.key privkey.pem
rm -f ./*.zip
# The nodes run as user 1000; nobody else needs a key.
chown 1000 nodes/nodes.key
chmod 600 ca/ca.key nodes/nodes.key gateway/gateway.key privkey.pem
