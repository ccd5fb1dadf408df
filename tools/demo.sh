#!/usr/bin/env bash
# Two nodes on this machine: they pair, find each other by mDNS, plan; one computes the prompt and hands
# its KV cache over, layer by layer, and the other one answers.
set -euo pipefail
cd "$(dirname "$0")/.."
baton=$PWD/build/release/baton
home=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$home"
}
trap cleanup EXIT

# A free TCP port at or above $1.
free_port() {
  local port=$1
  while ss -Hltn "sport = :$port" | grep -q .; do port=$((port + 1)); done
  echo "$port"
}
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[[ -t 1 && -z ${NO_COLOR:-} ]] || say() { printf '\n%s\n' "$*"; }

api_a=127.0.0.1:$(free_port 17411)
mesh_a=127.0.0.1:$(free_port 17421)
api_b=127.0.0.1:$(free_port 17451)
mesh_b=127.0.0.1:$(free_port 17461)

# start NAME API MESH: a node with a home of its own; returns when it answers.
start() {
  local name=$1 api=$2 mesh=$3
  BATON_HOME=$home/$name "$baton" serve --name "$name" --api "$api" --listen "$mesh" --chunk 64 \
    >"$home/$name.log" 2>&1 &
  pids+=($!)
  for _ in $(seq 300); do
    if BATON_API=$api "$baton" ps >/dev/null 2>&1; then return; fi
    kill -0 "${pids[-1]}" 2>/dev/null || { cat "$home/$name.log" >&2; exit 1; }
    sleep 0.1
  done
  echo "node $name does not answer" >&2
  cat "$home/$name.log" >&2
  exit 1
}

say "1. A node measures itself and prints an invitation; a second one joins with it."
mkdir -p "$home/ada" "$home/bob"
start ada "$api_a" "$mesh_a"
for _ in $(seq 300); do
  [[ -s $home/ada/profile.json ]] && break
  sleep 0.1
done
code=$(BATON_API=$api_a "$baton" invite 2>/dev/null)
echo "baton join $code"
cp "$home/ada/profile.json" "$home/bob/"  # the same machine: no need to measure it twice
BATON_HOME=$home/bob BATON_API=$api_b "$baton" join "$code" 2>/dev/null
start bob "$api_b" "$mesh_b"

say "2. They find each other and measure the link between them."
export BATON_API=$api_a
for _ in $(seq 100); do
  links=$("$baton" nodes --json | grep -o '"rtt_us"' | wc -l || true)
  [[ $links -ge 2 ]] && break
  sleep 0.1
done
[[ $links -ge 2 ]] || { echo "the nodes did not find each other" >&2; cat "$home"/*.log >&2; exit 1; }
"$baton" nodes

say "3. The plan, free to choose, as for two machines (these two share one, which it cannot know):"
"$baton" plan baton-demo --prompt 700 --answer 80 | head -n 7
say "   The owner may decide too: prompts on ada, answers on bob."
"$baton" place baton-demo --prefill-on ada --decode-on bob

say "4. A prompt of several hundred tokens, its answer as it streams, and what was measured."
"$baton" run baton-demo --verbose --temperature 0 <tools/demo-prompt.txt

say "5. A conversation is a command away:  build/release/baton run baton-demo"
