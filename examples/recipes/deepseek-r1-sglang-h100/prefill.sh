#!/bin/sh
# 1 of these, 32 GPUs each (DP32·EP32), over 4 nodes: run it on every one
set -eu
port=${1:-8001}
events=${KV_EVENTS_PORT:-5557}
replay=$((events + 1000))
node=${2:-${LWS_WORKER_INDEX:-${SLURM_NODEID:-0}}}
leader=${3:-${LWS_LEADER_ADDRESS:-${LEADER:-127.0.0.1}}}
exec python -m sglang.launch_server \
  --model-path deepseek-ai/DeepSeek-R1 \
  --port "$port" \
  --host 0.0.0.0 \
  --tp-size 32 \
  --dp-size 32 \
  --enable-dp-attention \
  --ep-size 32 \
  --moe-a2a-backend deepep \
  --deepep-mode normal \
  --page-size 64 \
  --context-length 4352 \
  --max-running-requests 256 \
  --chunked-prefill-size 8192 \
  --trust-remote-code \
  --disaggregation-mode prefill \
  --disaggregation-transfer-backend nixl \
  --disaggregation-bootstrap-port 8998 \
  --kv-events-config '{"publisher":"zmq","endpoint":"tcp://*:'"$events"'","replay_endpoint":"tcp://*:'"$replay"'","topic":"kv-events"}' \
  --enable-two-batch-overlap \
  --moe-dense-tp-size 1 \
  --enable-dp-lm-head \
  --ep-num-redundant-experts 32 \
  --eplb-algorithm deepseek \
  --ep-dispatch-algorithm dynamic \
  --mem-fraction-static 0.85 \
  --dist-init-addr "$leader":5000 \
  --nnodes 4 \
  --node-rank "$node"
