#!/bin/sh
# Predicted at 64 requests in flight: TTFT 730 ms, TPOT 18.00 ms, 3303 output tokens/s
set -eu
url=${1:-http://127.0.0.1:8000}
for concurrency in 1 32 64 128; do
  stator load --url "$url" --model Qwen/Qwen3-32B-FP8 \
    --input 4000 --output 500 \
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
