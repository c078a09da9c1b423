#!/bin/sh
# 2 of these, 2 GPUs each (TP2)
set -eu
port=${1:-8001}
events=${KV_EVENTS_PORT:-5557}
replay=$((events + 1000))
# Where other hosts fetch this worker's KV.
export VLLM_NIXL_SIDE_CHANNEL_HOST="${VLLM_NIXL_SIDE_CHANNEL_HOST:-$(hostname -I | cut -d' ' -f1)}"
export VLLM_NIXL_SIDE_CHANNEL_PORT="${VLLM_NIXL_SIDE_CHANNEL_PORT:-5700}"
exec vllm serve Qwen/Qwen3-32B-FP8 \
  --port "$port" \
  --tensor-parallel-size 2 \
  --block-size 64 \
  --max-model-len 4864 \
  --max-num-seqs 64 \
  --max-num-batched-tokens 2048 \
  --gpu-memory-utilization 0.9 \
  --kv-transfer-config '{"kv_connector":"NixlConnector","kv_role":"kv_both","kv_load_failure_policy":"fail"}' \
  --enable-prompt-tokens-details \
  --kv-events-config '{"enable_kv_cache_events":true,"publisher":"zmq","endpoint":"tcp://*:'"$events"'","replay_endpoint":"tcp://*:'"$replay"'","topic":"kv-events"}'
