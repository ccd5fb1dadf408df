#!/usr/bin/env bash
# check.sh [JOBS]: everything that is judged without running the tests. One line per judge; what a
# judge has to say is printed where it fails, and lies in build/check/ in any case.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${1:-$(nproc)}
logs=build/check
mkdir -p "$logs"
failed=()

# judge NAME COMMAND...
judge() {
  local name=$1 log=$logs/$1.log began=$SECONDS verdict=ok
  shift
  if ! "$@" >"$log" 2>&1; then
    verdict=FAILED
    failed+=("$name")
  fi
  printf '%-14s %-6s %4d s  %s\n' "$name" "$verdict" $((SECONDS - began)) \
    "$([[ $verdict == ok ]] && tail -n 1 "$log" | cut -c1-60)"
  [[ $verdict == ok ]] || grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking|Generating)' "$log" | tail -n 60
}

format() {
  git ls-files -co --exclude-standard '*.h' '*.cc' | xargs clang-format-14 --dry-run -Werror
}

# clang's view of the sources: -Wthread-safety, headers that compile alone, and the fuzz targets.
witness() {
  cmake --preset witness
  nice -n 1 ninja -C build/witness -j "$jobs" -k 20 all all_verify_interface_header_sets
}

# Instruction-set objects as the release has them.
weak_symbols() {
  cmake --preset release
  ninja -C build/release -j "$jobs" baton_kernels
  tools/check_weak_symbols.sh build/release
}

judge format format
judge layers tools/check_layers.sh
judge tidy tools/tidy.sh
judge witness witness
judge clang-tidy tools/clang_tidy.sh build/witness "$jobs"
judge weak-symbols weak_symbols
judge fuzz env BUILD=build/witness SEED=1 SECONDS_MAX=10 tools/fuzz.sh 20000

if ((${#failed[@]} > 0)); then
  echo "failed: ${failed[*]}"
  exit 1
fi
