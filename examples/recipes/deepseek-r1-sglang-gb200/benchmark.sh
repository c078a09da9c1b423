#!/bin/sh
# Predicted at 384 requests in flight: TTFT 1359 ms, TPOT 14.19 ms, 26853 output tokens/s
set -eu
url=${1:-http://127.0.0.1:8000}
for concurrency in 1 192 384 768; do
  stator load --url "$url" --model deepseek-ai/DeepSeek-R1 \
    --input 2048 --output 2048 \
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
