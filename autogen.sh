#!/bin/sh
# Makes ./configure out of configure.ac; needed in a fresh clone only.
set -e
cd "$(dirname "$0")"
mkdir -p m4 build-aux
exec autoreconf --install --force
