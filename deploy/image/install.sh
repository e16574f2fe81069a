#!/bin/sh
# The steps of the image, which tests/scripts/test_image.py takes without Docker: `install.sh STEP TARGET`, in a folder with the sources.
# They need no package but those of the lock files, by their hashes, and only wheels.
set -eu
step=$1
target=$2

pip() { python -m pip --disable-pip-version-check --no-cache-dir --quiet --python "$@"; }

# `locked NAME`: the entry of one package of requirements-dev.lock.
locked() { sed -n "/^$1==/,/[^\\\\]\$/p" requirements-dev.lock; }

install_one() {
    scratch=$(mktemp)
    locked "$2" >"$scratch"
    pip "$1" install --require-hashes --only-binary :all: -r "$scratch"
    rm "$scratch"
}

case $step in
packages) # what the program needs
    python -m venv --without-pip "$target"
    pip "$target/bin/python" install --require-hashes --only-binary :all: -r requirements.lock
    ;;
program) # the program itself, built by the locked setuptools
    build=$(mktemp -d)
    python -m venv --without-pip "$build"
    install_one "$build/bin/python" setuptools
    pip "$build/bin/python" wheel --no-deps --no-build-isolation --wheel-dir "$build/wheels" .
    pip "$target/bin/python" install --no-deps "$build"/wheels/*.whl
    rm -r "$build"
    ;;
sample) # what `smarttrip seed` needs
    install_one "$target/bin/python" babel
    ;;
*)
    echo "install.sh: $step is none of packages, program and sample." >&2
    exit 2
    ;;
esac
