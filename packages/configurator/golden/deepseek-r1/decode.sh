#!/bin/sh
# 1 of these, 16 GPUs each (DP16·EP16)
set -eu
port=${1:-8001}
exec trtllm-serve deepseek-ai/DeepSeek-R1 \
  --port "$port" \
  --backend pytorch \
  --tp_size 16 \
  --ep_size 16 \
  --max_batch_size 256 \
  --max_num_tokens 2048 \
  --max_seq_len 5376 \
  --kv_cache_free_gpu_memory_fraction 0.9 \
  --trust_remote_code \
  --config decode.yaml
