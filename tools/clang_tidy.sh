#!/usr/bin/env bash
# clang_tidy.sh BUILD_DIR [JOBS]: clang-tidy (.clang-tidy) over our sources in BUILD_DIR's
# compile_commands.json. A file passes for good: it is judged again only when it, a header of ours
# that it includes, or .clang-tidy changes. Files that include Boost's networking or protobuf take
# ten seconds each, nearly all of it spent in their headers: clang compiles them in the witness
# build, and here they are judged only with HEAVY=1.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
jobs=${2:-$(nproc)}
passed=$build/clang-tidy
mkdir -p "$passed"

# "FILE HEADER..." for each source: what of ours it includes, directly or not.
closures() {
  git ls-files -co --exclude-standard 'src/*.h' 'src/*.cc' 'apps/*.h' 'apps/*.cc' 'tests/*.cc' |
    xargs grep -HE '^#include [<"]' | awk '
      { at = index($0, ":"); file = substr($0, 1, at - 1); line = substr($0, at + 1)
        match(line, /[<"][^>"]+/); name = substr(line, RSTART + 1, RLENGTH - 1)
        if (line ~ /"/) name = name ~ /^(apps|tests)\// ? name : "src/" name
        includes[file] = includes[file] " " name }
      function visit(file, of,   names, n, i) {
        if ((of, file) in seen) return
        seen[of, file] = 1; list = list " " file
        n = split(includes[file], names, " ")
        for (i = 1; i <= n; ++i) visit(names[i], of)
      }
      END { for (file in includes) if (file ~ /\.cc$/) { list = ""; visit(file, file); print list } }'
}

todo=()
skipped=0
while read -r file rest; do
  grep -q "\"file\": \"[^\"]*/$file\"" "$build/compile_commands.json" || continue
  if [[ -z ${HEAVY:-} && $rest =~ boost/(asio|beast)|\.pb\.h ]]; then
    skipped=$((skipped + 1))
    continue
  fi
  ours=$(tr ' ' '\n' <<<"$rest" | grep -E '^(src|apps|tests)/.*\.h$' | grep -v 'pb\.h$' || true)
  # shellcheck disable=SC2086
  key=$(cat .clang-tidy "$file" $ours | sha256sum | cut -c1-16)
  stamp=$passed/${file//\//_}.$key
  [[ -e $stamp ]] || todo+=("$file" "$stamp")
done < <(closures | sort)

judge() {
  local output
  if output=$(clang-tidy-14 -p "$1" --quiet "$2" 2>/dev/null); then
    rm -f "${3%.*}".*
    touch "$3"
  else
    printf '%s\n' "$output"
    return 1
  fi
}
export -f judge
echo "$((${#todo[@]} / 2)) files to judge, $skipped heavy ones left to the compiler"
((${#todo[@]} == 0)) || printf '%s\0' "${todo[@]}" |
  xargs -0 -n 2 -P "$jobs" bash -c 'judge "$@"' judge "$build"
