#!/bin/sh
# 1 of these, 48 GPUs each (DP48·EP48), over 12 nodes: run it on every one
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
  --tp-size 48 \
  --dp-size 48 \
  --enable-dp-attention \
  --ep-size 48 \
  --page-size 64 \
  --context-length 4352 \
  --max-running-requests 12288 \
  --chunked-prefill-size 2048 \
  --disable-radix-cache \
  --trust-remote-code \
  --disaggregation-mode decode \
  --disaggregation-transfer-backend nixl \
  --kv-events-config '{"publisher":"zmq","endpoint":"tcp://*:'"$events"'","replay_endpoint":"tcp://*:'"$replay"'","topic":"kv-events"}' \
  --moe-a2a-backend deepep \
  --deepep-mode low_latency \
  --moe-dense-tp-size 1 \
  --enable-dp-lm-head \
  --ep-num-redundant-experts 32 \
  --eplb-algorithm deepseek \
  --mem-fraction-static 0.83 \
  --cuda-graph-max-bs 256 \
  --dist-init-addr "$leader":5000 \
  --nnodes 12 \
  --node-rank "$node"
