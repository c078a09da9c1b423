#!/bin/sh
# Predicted at 32 requests in flight: TTFT 1003 ms, TPOT 22.26 ms, 1424 output tokens/s
set -eu
url=${1:-http://127.0.0.1:8000}
for concurrency in 1 16 32 64; do
  stator load --url "$url" --model moonshotai/Kimi-K2-Thinking \
    --input 4096 --output 1024 \
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
