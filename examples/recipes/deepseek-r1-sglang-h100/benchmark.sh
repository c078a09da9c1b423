#!/bin/sh
# Predicted at 576 requests in flight: TTFT 4224 ms, TPOT 24.64 ms, 21501 output tokens/s
set -eu
url=${1:-http://127.0.0.1:8000}
for concurrency in 1 288 576 1152; do
  stator load --url "$url" --model deepseek-ai/DeepSeek-R1 \
    --input 2048 --output 2048 \
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
