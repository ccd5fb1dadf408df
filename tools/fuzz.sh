#!/usr/bin/env bash
# fuzz.sh RUNS [NAME...]: runs the targets that the preset `fuzz` built (gguf, frame, ...), RUNS
# executions each, from the seeds in tests/fuzz/corpus/. Fails on any crash, leak or timeout; the
# input that caused it lies in BUILD/findings/.
#   SECONDS_MAX=N  ends each target after N seconds
#   SEED=N         repeats a run (default: a new one)
#   BUILD=FOLDER   where the programs are (default: build/fuzz)
set -euo pipefail
cd "$(dirname "$0")/.."
runs=$1
shift
build=${BUILD:-build/fuzz}
targets=("$@")
if ((${#targets[@]} == 0)); then
  for source in tests/fuzz/*_fuzz.cc; do targets+=("$(basename "$source" .cc)"); done
fi

export ASAN_OPTIONS=allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1
failed=0
for target in "${targets[@]}"; do
  name=${target%_fuzz}
  target=${name}_fuzz
  seeds=tests/fuzz/corpus/$name
  # What this run learns stays in build/, so that a longer run goes on where a shorter one ended.
  learned=$build/corpus/$name
  findings=$build/findings/$name
  mkdir -p "$learned" "$findings"
  # -entropic: its books take most of the time where inputs touch thousands of edges.
  options=(-runs="$runs" -entropic=0 -max_len=4096 -timeout=5 -rss_limit_mb=2048
    -print_final_stats=1 -seed="${SEED:-0}" -max_total_time="${SECONDS_MAX:-0}"
    -artifact_prefix="$findings/")
  [[ -f tests/fuzz/$name.dict ]] && options+=(-dict="tests/fuzz/$name.dict")
  folders=("$learned")
  [[ -d $seeds ]] && folders+=("$seeds")
  log=$build/$target.log
  began=$(date +%s)
  if "$build/tests/$target" "${options[@]}" "${folders[@]}" >"$log" 2>&1; then
    result=clean
  else
    result="FAILED, see $log"
    grep -E 'ERROR|SUMMARY|CHECK failed|Test unit written' "$log" >&2 || tail -n 20 "$log" >&2
    failed=1
  fi
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  printf '%-16s %10s executions %5s s  %s\n' "$target" "${executions:-?}" \
    "$(($(date +%s) - began))" "$result"
done
exit $failed
