#!/bin/sh
# 1 of these, 72 GPUs each (DP72·EP72), over 9 nodes: run it on every one
set -eu
port=${1:-8001}
events=${KV_EVENTS_PORT:-5557}
replay=$((events + 1000))
node=${2:-${LWS_WORKER_INDEX:-${SLURM_NODEID:-0}}}
leader=${3:-${LWS_LEADER_ADDRESS:-${LEADER:-127.0.0.1}}}
export SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK="${SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK:-256}"
exec python -m sglang.launch_server \
  --model-path deepseek-ai/DeepSeek-R1 \
  --port "$port" \
  --host 0.0.0.0 \
  --tp-size 72 \
  --dp-size 72 \
  --enable-dp-attention \
  --ep-size 72 \
  --moe-a2a-backend deepep \
  --deepep-mode low_latency \
  --page-size 64 \
  --context-length 4352 \
  --max-running-requests 9216 \
  --chunked-prefill-size 2048 \
  --disable-radix-cache \
  --trust-remote-code \
  --disaggregation-mode decode \
  --disaggregation-transfer-backend nixl \
  --kv-events-config '{"publisher":"zmq","endpoint":"tcp://*:'"$events"'","replay_endpoint":"tcp://*:'"$replay"'","topic":"kv-events"}' \
  --enable-two-batch-overlap \
  --moe-dense-tp-size 1 \
  --enable-dp-lm-head \
  --ep-num-redundant-experts 32 \
  --mem-fraction-static 0.835 \
  --cuda-graph-max-bs 128 \
  --dist-init-addr "$leader":5000 \
  --nnodes 9 \
  --node-rank "$node"
