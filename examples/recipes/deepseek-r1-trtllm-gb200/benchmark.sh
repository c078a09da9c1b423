#!/bin/sh
# Predicted at 1024 requests in flight: TTFT 2933 ms, TPOT 29.24 ms, 32422 output tokens/s
set -eu
url=${1:-http://127.0.0.1:8000}
for concurrency in 1 512 1024 2048; do
  stator load --url "$url" --model deepseek-ai/DeepSeek-R1 \
    --input 8192 --output 1024 \
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
