#!/usr/bin/env bash
# check_weak_symbols.sh BUILD_DIR: instruction-set objects export one table and nothing weak, so the
# linker can never keep AVX code for a function that everyone calls.
set -euo pipefail
bad=0
count=0
while read -r object; do
  count=$((count + 1))
  if nm -C "$object" | grep -E '^[0-9a-f]+ [WwVvu] ' >&2; then
    echo "$object: weak symbols" >&2
    bad=1
  fi
  if [[ $(nm --defined-only --extern-only "$object" | wc -l) != 1 ]]; then
    nm -C --defined-only --extern-only "$object" >&2
    echo "$object: more than one exported symbol" >&2
    bad=1
  fi
done < <(find "$1" -path '*baton_kernels_*' -name 'table.cc.o')
if [[ $count == 0 ]]; then
  echo "$1: no instruction-set objects" >&2
  bad=1
fi
exit $bad
