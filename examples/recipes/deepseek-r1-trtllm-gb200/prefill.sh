#!/bin/sh
# 3 of these, 16 GPUs each (DP16·EP16), over 4 nodes: run it on every one, one MPI rank per GPU
set -eu
port=${1:-8001}
cd "$(dirname "$0")"
exec trtllm-llmapi-launch trtllm-serve deepseek-ai/DeepSeek-R1 \
  --port "$port" \
  --host 0.0.0.0 \
  --backend pytorch \
  --tp_size 16 \
  --ep_size 16 \
  --max_batch_size 8 \
  --max_seq_len 9472 \
  --trust_remote_code \
  --config prefill.yaml \
  --kv_cache_free_gpu_memory_fraction 0.3 \
  --max_num_tokens 9216
