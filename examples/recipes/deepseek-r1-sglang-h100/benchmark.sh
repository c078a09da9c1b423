#!/bin/sh
# Predicted at 1152 requests in flight: TTFT 4764 ms, TPOT 28.23 ms, 39145 output tokens/s
set -eu
url=${1:-http://127.0.0.1:8000}
for concurrency in 1 576 1152 2304; do
  stator load --url "$url" --model deepseek-ai/DeepSeek-R1 \
    --input 2048 --output 2048 \
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
