#!/usr/bin/env bash
# Sets up what the make targets need: Debian packages, virtual environment, op library.
#
# usage: tools/setup.sh demo|test
#
# Each step is done once; a changed input does it again. PYTHON chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
state=.setup
mkdir -p "$state"

packages=(bazel-bootstrap bazel-rules-java bazel-rules-proto g++ libflatbuffers-dev espeak-ng)
extras=train
case "${1:-}" in
  demo) ;;
  test)
    packages+=(g++-aarch64-linux-gnu qemu-user-static googletest libbenchmark-dev llvm-19)
    extras=test
    ;;
  *)
    sed -n '4,6p' "$0" | sed 's/^# *//' >&2
    exit 2
    ;;
esac

say() { echo "setup: $*"; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# ---- Debian packages
python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null || ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
  packages+=(python3 python3-venv)
  python=python3
fi
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
    missing+=("$package")
done
if ((${#missing[@]})); then
  say "installing Debian packages: ${missing[*]}"
  as_root apt-get update -q >"$state/apt.log" 2>&1 &&
    as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -q --no-install-recommends "${missing[@]}" >>"$state/apt.log" 2>&1 || {
    tail -n 20 "$state/apt.log" >&2
    say "apt-get failed; its output is in $state/apt.log" >&2
    exit 1
  }
fi

# ---- virtual environment
wanted=$(cat setup.py constraints.txt | sha256sum | cut -d' ' -f1)
installed=$(cat "$state/$extras" 2>/dev/null || true)
if [ ! -x .venv/bin/python ] || [ "$installed" != "$wanted" ]; then
  if [ ! -x .venv/bin/python ]; then
    say "making the virtual environment .venv with $("$python" --version)"
    "$python" -m venv .venv
  fi
  say "installing Python packages [$extras] (a few minutes the first time)"
  .venv/bin/python -m pip install -q -c constraints.txt -e ".[$extras]" >"$state/pip.log" 2>&1 || {
    tail -n 20 "$state/pip.log" >&2
    say "pip failed; its output is in $state/pip.log" >&2
    exit 1
  }
  echo "$wanted" >"$state/$extras"
  # The test set includes the training set.
  if [ "$extras" = test ]; then echo "$wanted" >"$state/train"; fi
fi

# ---- op library (Bazel itself knows what is up to date)
build() {
  sources=$(find custom_ops BUILD WORKSPACE .bazelrc tools/build_ops.sh -type f -print0 |
    sort -z | xargs -0 cat | sha256sum | cut -d' ' -f1)
  library=bifsmn_tf/runtime/lib/linux_$1/libbifsmn_ops.so
  if [ ! -f "$library" ] || [ "$(cat "$state/ops_$1" 2>/dev/null)" != "$sources" ]; then
    say "building the op library for $1 with Bazel"
    tools/build_ops.sh "$1" >"$state/bazel_$1.log" 2>&1 || {
      tail -n 30 "$state/bazel_$1.log" >&2
      say "the build failed; its output is in $state/bazel_$1.log" >&2
      exit 1
    }
    echo "$sources" >"$state/ops_$1"
  fi
}
build "$(uname -m)"
if [ "$1" = test ]; then
  [ "$(uname -m)" = aarch64 ] || build aarch64
  say "preparing the emulated aarch64 root (.emulated)"
  tools/emulated_root.sh .emulated/aarch64 >"$state/emulated.log" 2>&1 || {
    tail -n 20 "$state/emulated.log" >&2
    say "preparing the emulated root failed; its output is in $state/emulated.log" >&2
    exit 1
  }
fi
say "ready"
