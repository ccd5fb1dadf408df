#!/usr/bin/env bash
# deps.sh [arm64]: installs the Debian 12 packages that building and testing need, or also those of
# `make arm64`, and nothing if all are there.
set -euo pipefail

packages=(
  g++ cmake ninja-build mold ccache pkg-config git ca-certificates binutils make
  libboost1.81-dev libboost-json1.81-dev libssl-dev libprotobuf-dev protobuf-compiler libpcre2-dev
  libutf8proc-dev libhwloc-dev libxxhash-dev libspdlog-dev libfmt-dev libcli11-dev
  libtomlplusplus-dev
  prometheus-cpp-dev libedit-dev libavahi-core-dev libavahi-common-dev
  libgtest-dev libgmock-dev libbenchmark-dev iproute2 procps curl
  clang-14 clang-tidy-14 clang-format-14 libclang-rt-14-dev
)
# A node and npm from elsewhere will do as well.
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)

# The libraries of another architecture are installed beside the host's, at the same versions.
if [[ ${1:-} == arm64 ]]; then
  packages+=(g++-aarch64-linux-gnu qemu-user-static)
  for library in libboost-json1.81-dev libssl-dev libprotobuf-dev libpcre2-dev libutf8proc-dev \
    libhwloc-dev libxxhash-dev libspdlog-dev libfmt-dev libprometheus-cpp-core1.0 libedit-dev \
    libavahi-core-dev libavahi-common-dev libgtest-dev libgmock-dev; do
    packages+=("$library:arm64")
  done
fi

# installed PACKAGE[:ARCHITECTURE]: the host's architecture if none is named.
host=$(dpkg --print-architecture)
installed() {
  local architecture=$host
  [[ $1 == *:* ]] && architecture=${1#*:}
  dpkg-query -W -f='${db:Status-Status} ${Architecture}\n' "${1%:*}" 2>/dev/null |
    grep -xE "installed ($architecture|all)" >/dev/null
}

missing=()
for package in "${packages[@]}"; do
  installed "$package" || missing+=("$package")
done
((${#missing[@]} == 0)) && exit 0

sudo=()
if ((EUID != 0)); then sudo=(sudo); fi
echo "installing: ${missing[*]}" >&2
if [[ ${1:-} == arm64 ]]; then "${sudo[@]}" dpkg --add-architecture arm64; fi
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
