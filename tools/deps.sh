#!/bin/sh
# deps.sh build|test: installs, on Debian 12 or Ubuntu, what building (or also testing) Logpond needs, from the distribution's
# packages. Does nothing where all of them are there. Output goes to $DEPS_LOG (default: a file under the temporary folder).
set -eu
build="autoconf automake make gcc g++ pkg-config libevent-dev liblmdb-dev libzstd-dev librdkafka-dev libre2-dev libsnappy-dev
    zlib1g-dev libsimdjson-dev libyaml-dev libxxhash-dev libwslay-dev ca-certificates tzdata"
# Hyperscan is optional, and packaged for this architecture only
[ "$(dpkg --print-architecture 2>/dev/null)" != amd64 ] || build="$build libhyperscan-dev"
tests="libcunit1-dev python3 python3-pytest python3-websockets openjdk-17-jre-headless maven kcat openssl zstd procps
    python3-kubernetes nodejs npm"
case ${1:-build} in
build) want=$build ;;
test) want="$build $tests" ;;
*) sed -n 2,3p "$0"; exit 2 ;;
esac
missing=
for p in $want; do
    case $p in
    # a machine may have Java, Maven or Node from elsewhere
    openjdk-17-jre-headless) command -v java >/dev/null 2>&1 && continue ;;
    maven) command -v mvn >/dev/null 2>&1 && continue ;;
    nodejs) command -v node >/dev/null 2>&1 && continue ;;
    npm) command -v npm >/dev/null 2>&1 && continue ;;
    esac
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
log=${DEPS_LOG:-${TMPDIR:-/tmp}/logpond-deps.$$.log}
sudo=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "deps.sh: not root, and there is no sudo; please install:$missing" >&2; exit 1; }
    sudo=sudo
fi
command -v apt-get >/dev/null || { echo "deps.sh: this is not Debian or Ubuntu; please install the like of:$missing" >&2; exit 1; }
echo "installing packages:$missing"
# A package database that another process holds is waited for, a mirror that stumbles is asked again.
if ! { $sudo apt-get update -q && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
    -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 $missing; } >>"$log" 2>&1; then
    echo "deps.sh: the installation failed; the end of $log:" >&2
    tail -n 20 "$log" >&2
    exit 1
fi
