#!/usr/bin/env bash
# `make run`, to its greeting and a first answer, and `make test` on Debian's own Pythons, from a fresh clone of HEAD:
# bookworm (3.11), trixie (3.13) and sid (3.14 or newer), each as root and as an ordinary user.
# Needs root, mmdebstrap and a Debian host, whose apt sources, CA certificates and pip configuration it takes over.
# Usage: tests/pythons.sh [SUITE...]; what was said is in build/pythons/.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ] || ! command -v mmdebstrap >/dev/null; then
    echo "tests/pythons.sh needs root and mmdebstrap" >&2
    exit 1
fi
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)
if [ -z "$mirror" ]; then
    echo "tests/pythons.sh takes Debian from where apt does, and apt has no source of it here" >&2
    exit 1
fi

logs=$PWD/build/pythons
mkdir -p "$logs"
roots=$(mktemp -d)
chmod 755 "$roots"
trap 'rm -rf --one-file-system "$roots"' EXIT

# the variables that tell pip where packages are, and what it trusts
readarray -t pip_variables < <(env | grep '^PIP_' || true)

bootstrap() { # SUITE ROOT
    # sid's index may be older than it promises to become
    mmdebstrap --quiet --mode=root --variant=apt --aptopt='Acquire::Check-Valid-Until "false"' \
        --include=python3,python3-venv,make,ca-certificates,curl,git,procps,passwd \
        "$1" "$2" "deb $mirror $1 main"
    cp /etc/ssl/certs/ca-certificates.crt "$2/etc/ssl/certs/"
    if [ -e /etc/pip.conf ]; then
        cp /etc/pip.conf "$2/etc/"
    fi
    chroot "$2" useradd --create-home tester
}

inside() { # ROOT USER COMMAND...: in namespaces that end with it, and nothing of this environment but pip's variables
    unshare --mount --pid --fork --kill-child bash -c '
        root=$0 user=$1
        shift
        mount --make-rprivate /
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount --rbind /sys "$root/sys"
        touch "$root/etc/resolv.conf" "$root/etc/hosts"
        mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
        mount --bind /etc/hosts "$root/etc/hosts"
        env --ignore-environment "$@" chroot "$root" runuser -u "$user" -- bash /tmp/steps
        # this shell is process 1 there, and collects what others leave behind: a last command would take its place
        exit $?
    ' "$1" "$2" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${pip_variables[@]}"
}

steps() { # the commands of one user, in the clone
    cat <<'STEPS'
set -u
export HOME=$(getent passwd "$(id -un)" | cut -d : -f 6)
cd "/srv/$(id -un)" || exit 1
python3 --version
export PORT=$((20000 + RANDOM % 10000))
make run &
run=$!
until curl --silent --fail --output /dev/null "http://127.0.0.1:$PORT/health"; do
    if ! kill -0 $run || [ $SECONDS -gt 600 ]; then
        echo "make run: no answer after $SECONDS s"
        exit 1
    fi
    sleep 0.2
done 2>/dev/null
echo "make run: an answer after $SECONDS s"
kill "$(ps --no-headers -o pid --ppid $run)" # what make has started
wait $run
unset PORT
SECONDS=0
make test
status=$?
echo "make test: status $status after $SECONDS s"
exit $status
STEPS
}

failures=0
if [ $# = 0 ]; then
    set -- bookworm trixie sid
fi
for name in "$@"; do
    root=$roots/$name
    bootstrap "$name" "$root"
    steps >"$root/tmp/steps"
    for user in root tester; do
        log=$logs/$name-$user.log
        git clone --quiet . "$root/srv/$user"
        chroot "$root" chown -R "$user:" "/srv/$user"
        inside "$root" "$user" >"$log" 2>&1 && result="green" || result="RED"
        if [ $result = RED ]; then
            failures=$((failures + 1))
        fi
        echo "$name, $user: $result: $(grep -E '^Python 3|^make (run|test): |^=+ .* in [0-9.]+s' "$log" | paste -sd ';')"
        rm -rf --one-file-system "$root/srv/$user"
    done
    rm -rf --one-file-system "$root"
done
exit "$failures"
