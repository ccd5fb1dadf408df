#!/usr/bin/env bash
# run.sh NODE: installs the client packages if need be and runs the tests; 77 (skipped) without a
# registry.
set -euo pipefail
cd "$(dirname "$0")"
if [[ ! -d node_modules/openai ]]; then
  npm ci --silent --no-audit --no-fund || {
    echo "skipped: the npm registry cannot be reached"
    exit 77
  }
fi
exec "$1" --test openai_test.mjs
