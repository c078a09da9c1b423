#!/bin/sh
# Rising load on any OpenAI server; compare with another machine or a bare engine by its address.
set -eu
url=${1:-http://127.0.0.1:8000}
for concurrency in 1 4 16; do
  stator load --url "$url" --model tiny --input 256 --output 128 \
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
