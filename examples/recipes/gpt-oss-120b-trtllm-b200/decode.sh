#!/bin/sh
# 1 of these, 4 GPUs each (DP4·EP4)
set -eu
port=${1:-8001}
cd "$(dirname "$0")"
exec trtllm-serve openai/gpt-oss-120b \
  --port "$port" \
  --host 0.0.0.0 \
  --backend pytorch \
  --tp_size 4 \
  --ep_size 4 \
  --max_batch_size 128 \
  --max_seq_len 5376 \
  --kv_cache_free_gpu_memory_fraction 0.9 \
  --config decode.yaml \
  --max_num_tokens 16384
