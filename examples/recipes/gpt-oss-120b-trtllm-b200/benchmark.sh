#!/bin/sh
# Predicted at 256 requests in flight: TTFT 416 ms, TPOT 8.83 ms, 28787 output tokens/s
set -eu
url=${1:-http://127.0.0.1:8000}
for concurrency in 1 128 256 512; do
  stator load --url "$url" --model openai/gpt-oss-120b \
    --input 4096 --output 1024 \
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
