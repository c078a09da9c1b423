#!/bin/sh
# Predicted at 512 requests in flight: TTFT 2094 ms, TPOT 24.18 ms, 19022 output tokens/s
set -eu
url=${1:-http://127.0.0.1:8000}
for concurrency in 1 256 512 1024; do
  stator load --url "$url" --model deepseek-ai/DeepSeek-R1 \
    --input 8192 --output 1024 \
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
