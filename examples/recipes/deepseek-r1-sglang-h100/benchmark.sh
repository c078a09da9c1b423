#!/bin/sh
# Predicted at 288 requests in flight: TTFT 3373 ms, TPOT 22.61 ms, 12043 output tokens/s
set -eu
url=${1:-http://127.0.0.1:8000}
for concurrency in 1 144 288 576; do
  stator load --url "$url" --model deepseek-ai/DeepSeek-R1 \
    --input 2048 --output 2048 \
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
