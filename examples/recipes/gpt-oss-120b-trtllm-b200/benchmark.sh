#!/bin/sh
# Predicted at 128 requests in flight: TTFT 359 ms, TPOT 6.87 ms, 18595 output tokens/s
set -eu
url=${1:-http://127.0.0.1:8000}
for concurrency in 1 64 128 256; do
  stator load --url "$url" --model openai/gpt-oss-120b \
    --input 4096 --output 1024 \
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
