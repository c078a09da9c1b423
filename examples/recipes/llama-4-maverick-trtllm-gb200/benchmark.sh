#!/bin/sh
# Predicted at 128 requests in flight: TTFT 426 ms, TPOT 12.37 ms, 10331 output tokens/s
set -eu
url=${1:-http://127.0.0.1:8000}
for concurrency in 1 64 128 256; do
  stator load --url "$url" --model meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8 \
    --input 4096 --output 1024 \
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
