#!/usr/bin/env bash
# Installs the Debian 12 packages that building and testing need, and nothing if all are there.
set -euo pipefail

packages=(
  g++ cmake ninja-build mold ccache pkg-config git ca-certificates binutils make
  libboost1.81-dev libboost-json1.81-dev libssl-dev libprotobuf-dev protobuf-compiler libpcre2-dev
  libutf8proc-dev libhwloc-dev libxxhash-dev libspdlog-dev libfmt-dev libcli11-dev
  prometheus-cpp-dev libedit-dev libavahi-core-dev libavahi-common-dev
  libgtest-dev libgmock-dev libbenchmark-dev iproute2 procps curl
  clang-14 clang-tidy-14 clang-format-14 libclang-rt-14-dev
)
# A node and npm from elsewhere will do as well.
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
  [[ $status == "install ok installed" ]] || missing+=("$package")
done
((${#missing[@]} == 0)) && exit 0

sudo=()
if ((EUID != 0)); then sudo=(sudo); fi
echo "installing: ${missing[*]}" >&2
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
