#!/bin/sh
# Prepares a folder in which 64-bit ARM programs run under user-mode emulation: Debian's Python
# 3.11 with its libraries, and two sets of packages, one with tflite-runtime, one with
# ai-edge-litert.
#
# usage: tools/emulated_root.sh DIR
#
# Afterwards DIR/python-tflite-runtime and DIR/python-litert are Python interpreters. Needs a
# Debian 12 machine with qemu-user-static, apt and pip; changes nothing outside DIR. A second run
# returns at once. PYTHON chooses the Python whose pip is used.
set -eu

case "${1:-}" in
  '' | -h | --help)
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    [ $# -gt 0 ] && exit 0
    exit 2
    ;;
esac

here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
if [ -z "${PYTHON:-}" ]; then
  PYTHON=python3
  [ -x "$here/.venv/bin/python" ] && PYTHON=$here/.venv/bin/python
fi

# What a Python with ctypes, ssl and the compression modules needs, and no more.
packages='python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libgcc-s1
libstdc++6 libcrypt1 libexpat1 libffi8 libssl3 zlib1g libbz2-1.0 liblzma5 libuuid1 libtirpc3
libnsl2 libdb5.3 libncursesw6 libtinfo6 libreadline8 libsqlite3-0 libatomic1'
tflite_runtime='tflite-runtime==2.14.0 numpy<2'
# Newer ones crash in their own constructor under qemu 7.2.
litert='ai-edge-litert==2.1.6'

stamp=$dir/.complete
wanted=$(cksum < "$0")
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  echo "$dir"
  exit 0
fi

fail() {
  echo "emulated_root.sh: $1" >&2
  exit 1
}
command -v qemu-aarch64-static > /dev/null ||
  fail "qemu-aarch64-static is needed (Debian: qemu-user-static)"
command -v apt-get > /dev/null || fail "apt-get is needed: only Debian is supported"

# An apt of its own: same sources and keys as the machine's, another architecture, no installed
# packages. The machine's dpkg does not learn of it.
apt=$dir/.apt
rm -f "$stamp"
rm -rf "$dir/root" "$dir/site" "$apt"
mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/debs" "$dir/root"
: > "$apt/state/status"
apt_get() {
  apt-get -qq -o Dir::State="$apt/state" -o Dir::State::status="$apt/state/status" \
    -o Dir::Cache="$apt/cache" -o APT::Architecture=arm64 -o APT::Architectures=arm64 \
    -o APT::Sandbox::User= -o Acquire::Languages=none -o Debug::NoLocking=1 "$@"
}
echo "emulated_root.sh: downloading Debian packages for arm64" >&2
apt_get update || fail "the package lists for arm64 could not be downloaded"
# shellcheck disable=SC2086
(cd "$apt/debs" && apt_get download $packages) ||
  fail "the packages could not be downloaded: Debian 12 (Python 3.11) is needed"
for deb in "$apt"/debs/*.deb; do
  dpkg -x "$deb" "$dir/root"
done
rm -rf "$apt"

install_site() {
  site=$dir/site/$1
  shift
  mkdir -p "$site"
  "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-compile --target "$site" \
    --only-binary=:all: --implementation cp --python-version 3.11 --abi cp311 --abi abi3 \
    --abi none --platform manylinux_2_34_aarch64 --platform manylinux_2_28_aarch64 \
    --platform manylinux_2_27_aarch64 --platform manylinux_2_26_aarch64 \
    --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 "$@"
}
echo "emulated_root.sh: downloading aarch64 wheels" >&2
# shellcheck disable=SC2086
install_site tflite-runtime $tflite_runtime || fail "tflite-runtime could not be downloaded"
# shellcheck disable=SC2086
install_site litert $litert || fail "ai-edge-litert could not be downloaded"

for name in tflite-runtime litert; do
  cat > "$dir/python-$name" <<SCRIPT
#!/bin/sh
here=\$(cd "\$(dirname "\$0")" && pwd)
PYTHONPATH=\$here/site/$name\${PYTHONPATH:+:\$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1 \\
  exec qemu-aarch64-static -L "\$here/root" "\$here/root/usr/bin/python3.11" "\$@"
SCRIPT
  chmod +x "$dir/python-$name"
done
"$dir/python-tflite-runtime" -c 'import numpy, tflite_runtime.interpreter' ||
  fail "tflite-runtime does not import in the emulated Python"
echo "$wanted" > "$stamp"
echo "$dir"
