# Installs what is missing and nothing else; sourced by the scripts beside it.
# shellcheck shell=sh

# need PROGRAM PACKAGE REASON: notes PACKAGE as missing unless PROGRAM can be run.
need() {
    # Debian keeps servers in sbin, which is not on everyone's path.
    if ! PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1; then
        missing="${missing:-} $2"
        reasons="${reasons:-}  $2: $3
"
    fi
}

# install_missing PURPOSE: says what was noted, then installs it with apt; silent if nothing was.
install_missing() {
    [ -n "${missing:-}" ] || return 0
    printf '%s needs packages that are not installed here:\n%s' "$1" "$reasons" >&2

    if ! command -v apt-get >/dev/null 2>&1; then
        echo "This system has no apt: install them, or what they are called here, and try again." >&2
        exit 1
    fi
    if [ "$(id -u)" -eq 0 ]; then
        as_root="env"
    elif command -v sudo >/dev/null 2>&1; then
        as_root="sudo env"
    else
        echo "Run as root, then try again:" >&2
        echo "  apt-get update && apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi

    echo "Installing them with apt." >&2
    # Under these two, what the packages bring is not started, with or without systemd.
    as_root="$as_root DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 SYSTEMD_OFFLINE=1"
    # shellcheck disable=SC2086 # both are lists of words
    {
        $as_root apt-get update -qq </dev/null >&2 &&
            $as_root apt-get install -y -qq --no-install-recommends $missing </dev/null >&2
    }
}
