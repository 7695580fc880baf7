#!/bin/sh
# Builds libbifsmn_ops.so with Bazel and installs it into the Python package.
#
# usage: tools/build_ops.sh [x86_64|aarch64|all]     (default: this machine)
#
# BAZEL and BAZEL_STARTUP_OPTIONS choose the program and its startup options.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
host=$(uname -m)
: "${BAZEL:=bazel}" "${BAZEL_STARTUP_OPTIONS:=}"

usage() {
  sed -n '2,6s/^# \{0,1\}//p' "$0"
}

build() {
  machine=$1
  config=
  if [ "$machine" != "$host" ]; then
    if [ "$machine" != aarch64 ]; then
      echo "build_ops.sh: $machine can only be built on $machine. Received: a $host machine" >&2
      exit 1
    fi
    config=--config=aarch64
  fi
  need "$BAZEL" "bazel-bootstrap bazel-rules-java bazel-rules-proto"
  [ -z "$config" ] || need aarch64-linux-gnu-g++ g++-aarch64-linux-gnu
  cd "$root"
  # shellcheck disable=SC2086
  "$BAZEL" $BAZEL_STARTUP_OPTIONS build $config //:bifsmn_ops
  # shellcheck disable=SC2086
  bin=$("$BAZEL" $BAZEL_STARTUP_OPTIONS info $config bazel-bin 2>/dev/null)
  folder=$root/bifsmn_tf/runtime/lib/linux_$machine
  mkdir -p "$folder"
  # Renamed into place: a program that has the old library loaded keeps it.
  temporary=$(mktemp "$folder/.libbifsmn_ops.XXXXXX")
  trap 'rm -f "$temporary"' EXIT
  cp "$bin/custom_ops/libbifsmn_ops.so" "$temporary"
  chmod 755 "$temporary"
  mv -f "$temporary" "$folder/libbifsmn_ops.so"
  trap - EXIT
  echo "$folder/libbifsmn_ops.so"
}

need() {
  command -v "$1" > /dev/null && return
  echo "build_ops.sh: $1 is needed (Debian: $2)" >&2
  exit 1
}

case "${1:-$host}" in
  -h | --help) usage ;;
  x86_64 | aarch64) build "${1:-$host}" ;;
  all)
    build "$host"
    [ "$host" = aarch64 ] || build aarch64
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac
