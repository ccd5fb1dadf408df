#!/usr/bin/env bash
# Judges tools/layers.txt: a module of src/ includes only modules on lower lines.
set -euo pipefail
cd "$(dirname "$0")/.."

grep -v '^#' tools/layers.txt | awk '
  NR == FNR { for (i = 1; i <= NF; ++i) level[$i] = FNR; next }
  {
    # FILE:LINE:#include "MODULE/..."
    split($0, part, ":"); split(part[1], path, "/"); from = path[2]
    match($0, /"[a-z_0-9]+\//); to = substr($0, RSTART + 1, RLENGTH - 2)
    if (!(from in level)) { print part[1] ": module " from " is not in tools/layers.txt"; bad = 1 }
    else if (to in level && from != to && level[to] <= level[from]) {
      print part[1] ":" part[2] ": " from " may not include " to; bad = 1
    }
  }
  END { exit bad }
' - <(grep -rnE '^#include "[a-z_0-9]+/' src --include='*.h' --include='*.cc')
