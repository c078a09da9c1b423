#!/bin/sh
# 4 of these, 2 GPUs each (TP2)
set -eu
port=${1:-8001}
events=${KV_EVENTS_PORT:-5557}
replay=$((events + 1000))
exec python -m sglang.launch_server \
  --model-path Qwen/Qwen3-32B-FP8 \
  --port "$port" \
  --host 0.0.0.0 \
  --tp-size 2 \
  --page-size 64 \
  --mem-fraction-static 0.9 \
  --context-length 5376 \
  --max-running-requests 64 \
  --chunked-prefill-size 8192 \
  --cuda-graph-max-bs 64 \
  --kv-events-config '{"publisher":"zmq","endpoint":"tcp://*:'"$events"'","replay_endpoint":"tcp://*:'"$replay"'","topic":"kv-events"}'
