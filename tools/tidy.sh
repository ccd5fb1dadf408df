#!/usr/bin/env bash
# tidy.sh: the rules of style that text alone can judge. Prints what breaks one.
set -euo pipefail
cd "$(dirname "$0")/.."
broken=$(mktemp)
trap 'rm -f "$broken"' EXIT
# complain RULE: notes the rule if standard input holds anything.
complain() {
  local found
  found=$(cat)
  [[ -z $found ]] && return
  printf '%s:\n%s\n' "$1" "$(sed 's/^/  /' <<<"$found")" | tee -a "$broken"
}

mapfile -t code < <(git ls-files -co --exclude-standard '*.h' '*.cc' '*.proto')
mapfile -t text < <(git ls-files -co --exclude-standard | grep -vE '\.(gguf|safetensors|model|bin|png|ico|woff2)$' |
  grep -vE '^(tests/fuzz/corpus/|tools/demo-prompt\.txt$)')
mapfile -t prose < <(printf '%s\n' "${text[@]}" | grep -E '\.(h|cc|proto|sh|cmake|txt|ts|svelte)$')

# The operating system is behind os/. Sockets are the business of net/ and serve/, which Asio hands
# their file descriptors to; these files may name them.
sockets='^src/(net|serve)/[a-z_]+\.cc:[0-9]+:#include <(sys/socket\.h|netinet/[a-z]+\.h|arpa/inet\.h|net/if\.h|ifaddrs\.h)>'
# Which instructions an ARM processor has, only the operating system can say.
features='^src/kernels/cpu/arm/isa_tables\.cc:[0-9]+:#include <sys/(auxv|sysctl)\.h>'
grep -nE '^#include <(sys/|unistd|fcntl|poll|pthread|sched|signal|dlfcn|dirent|net|arpa|ifaddrs)' \
  "${code[@]}" | grep -vE '^(src/os|apps)/' | grep -vE "$sockets|$features" |
  complain 'system headers outside os/ and apps/' || true
grep -nE '\b(secure_)?getenv\(' "${code[@]}" | grep -vE '^(src/os|apps)/|_test\.cc:' |
  grep -v '^src/model/testing/' | complain 'getenv outside os/ and apps/' || true

LC_ALL=C.UTF-8 grep -nE '^.{101,}$' "${code[@]}" | complain 'lines over 100 columns' || true
# (Written so that this file does not find itself.)
grep -nwE 'TO''DO|FIX''ME|XX''X|for ''now|HA''CK' "${prose[@]}" |
  complain 'unfinished work belongs into an issue' || true
grep -nE '[[:space:]]+$' "${prose[@]}" | complain 'trailing blanks' || true
for file in "${text[@]}"; do
  [[ -s $file && -f $file && $(tail -c 1 "$file" | wc -l) == 0 ]] && echo "$file"
done | complain 'no newline at the end' || true

# A header that has a .cc of its name is compiled alone there, because it comes first.
for header in "${code[@]}"; do
  source=${header%.h}.cc
  [[ $header == src/*.h && -f $source ]] || continue
  first=$(grep -m1 '^#include' "$source")
  [[ $first == "#include \"${header#src/}\"" ]] || echo "$source: $first"
done | complain 'include the own header first' || true
grep -L '^#pragma once' $(printf '%s\n' "${code[@]}" | grep '\.h$' |
  grep -vE '/cpu/(body|products|block_weights|small_scales|latents|brain_[a-z]+|[a-z0-9_]+/(vec|dot|quant|brain|pairs|stream|sums))\.h$') | complain 'headers without #pragma once' || true

# The tail is the taste: a number to watch, not a rule.
awk '
  FNR == 1 { begin = 0 }
  /^ ? ?[A-Za-z].*\{$/ && !/^ *(namespace|class|struct|enum|extern|union|switch|for|if|while)/ {
    begin = FNR; match($0, /^ */); indent = RLENGTH
  }
  begin && /^ *\}/ { match($0, /^ */); if (RLENGTH == indent) {
    lines = FNR - begin + 1; ++all; if (lines > 60) { ++long; worst = worst "  " FILENAME ":" begin ": " lines " lines\n" }
    begin = 0 } }
  END { printf "functions: %d, over 60 lines: %d\n%s", all, long, worst }
' $(printf '%s\n' "${code[@]}" | grep '\.cc$')
[[ ! -s $broken ]]
