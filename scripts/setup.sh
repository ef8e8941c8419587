# shellcheck shell=bash
# shellcheck disable=SC2034 # its variables are for the scripts that source it
# Sourced by scripts/test, demo, check and bench: brings a Debian or Ubuntu machine to what they need.
# Everything here may be run again; what is there already is left alone.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
VENV=${TRACER_VENV:-.venv}

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() { printf '%s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@" 2>/dev/null || return 1; fi
}

# need_packages PACKAGE...: installs the Debian packages that are missing; returns 1 where it may not.
need_packages() {
  local missing=() package
  command -v dpkg-query >/dev/null || return 1
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return 0
  say "installing system packages: ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >/dev/null &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# find_python: the first interpreter that is new enough and can make a virtual environment.
find_python() {
  local candidate
  for candidate in python3.13 python3.12 python3.11 python3 /usr/bin/python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
      echo "$candidate"
      return 0
    fi
  done
  return 1
}

# need_venv: a virtual environment with the locked packages and this checkout, in $VENV.
need_venv() {
  local stamp python
  stamp=$(cat requirements.lock pyproject.toml | sha256sum)
  if [ -x "$VENV/bin/tracer" ] && [ "$(cat "$VENV/.stamp" 2>/dev/null)" = "$stamp" ]; then
    return 0
  fi
  if ! python=$(find_python); then
    need_packages python3 python3-venv || true
    python=$(find_python) || die "No Python 3.11 to 3.13 that can make a virtual environment; run: apt-get install python3 python3-venv"
  fi
  say "making $VENV with $("$python" --version) and the packages of requirements.lock"
  "$python" -m venv "$VENV"
  "$VENV/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
  "$VENV/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
  printf '%s' "$stamp" >"$VENV/.stamp"
}

# Names of Debian packages, by what they are needed for.
LAB_PACKAGES="iproute2 iptables nftables conntrack tcpdump iputils-ping procps"
LIVE_PACKAGES="libbpf1 libelf1 python3-bpfcc"
TEST_PACKAGES="$LAB_PACKAGES $LIVE_PACKAGES tshark wireshark-common iputils-arping iperf3 tmux clang llvm libbpf-dev bpftool ethtool
  zstd xz-utils chromium chromium-driver shellcheck python3-venv"
MATRIX_PACKAGES="linux-image-amd64 linux-headers-amd64 linux-image-6.12-amd64 qemu-system-x86 busybox-static kmod udev openvswitch-switch"
