#!/bin/sh
# Predicted at 32 requests in flight: TTFT 785 ms, TPOT 14.58 ms, 2078 output tokens/s
set -eu
url=${1:-http://127.0.0.1:8000}
for concurrency in 1 16 32 64; do
  stator load --url "$url" --model Qwen/Qwen3-32B-FP8 \
    --input 4000 --output 500 \
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
