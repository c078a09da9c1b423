#!/bin/sh
# Predicted at 128 requests in flight: TTFT 982 ms, TPOT 23.98 ms, 4792 output tokens/s
set -eu
url=${1:-http://127.0.0.1:8000}
for concurrency in 1 64 128 256; do
  stator load --url "$url" --model Qwen/Qwen3-32B-FP8 \
    --input 4000 --output 500 \
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
