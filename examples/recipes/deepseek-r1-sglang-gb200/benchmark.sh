#!/bin/sh
# Predicted at 192 requests in flight: TTFT 1252 ms, TPOT 13.83 ms, 13736 output tokens/s
set -eu
url=${1:-http://127.0.0.1:8000}
for concurrency in 1 96 192 384; do
  stator load --url "$url" --model deepseek-ai/DeepSeek-R1 \
    --input 2048 --output 2048 \
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
