#!/usr/bin/env bash
# bench.sh [MODEL...]: what this machine can do and what it does, as markdown rows. Measures the
# shipped model, every build/synth/*.gguf (made by `baton synth`), and the files it is given.
#   REPEAT=N  repetitions (default 5; the rows hold medians)
set -euo pipefail
cd "$(dirname "$0")/.."
baton=build/release/baton
models=(models/baton-demo.gguf build/synth/*.gguf "$@")

# field NAME JSON SCALE: one number of a flat JSON object, divided by SCALE.
field() {
  grep -oE "\"$1\":[-+0-9.eE]+" <<<"$2" | head -n 1 | cut -d: -f2 |
    awk -v scale="$3" '{ printf "%.4g", $1 / scale }'
}

echo "commit $(git describe --always --dirty), $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-), \
$(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg)"
echo
limits=$($baton bench --limits --json 2>/dev/null)
echo '| what the machine can do | |'
echo '|---|---|'
echo "| int8 multiply-add | $(field int8_ops_per_s "$limits" 1e9) GOPS |"
echo "| f32 fused multiply-add | $(field float_ops_per_s "$limits" 1e9) GFLOPS |"
echo "| bf16 multiply-add | $(field bf16_ops_per_s "$limits" 1e9) GFLOPS |"
echo "| memory reads | $(field read_bytes_per_s "$limits" 1e9) GB/s |"
echo
echo '| model | prompt | prefill tokens/s | decode tokens/s | TTFT ms | memory GiB | of int8 peak | of read peak |'
echo '|---|---|---|---|---|---|---|---|'
for model in "${models[@]}"; do
  [[ -f $model ]] || continue
  for prompt in 128 512; do
    result=$($baton bench -m "$model" -p "$prompt" -n 32 -r "${REPEAT:-5}" --shares --json)
    echo "| $(basename "$model") | $prompt | $(field prefill_tokens_per_s "$result" 1) |" \
      "$(field decode_tokens_per_s "$result" 1) | $(field ttft_ms "$result" 1) |" \
      "$(field peak_rss_bytes "$result" 1073741824) |" \
      "$(field prefill_share_of_int8_peak "$result" 1) |" \
      "$(field decode_share_of_read_peak "$result" 1) |"
  done
done
