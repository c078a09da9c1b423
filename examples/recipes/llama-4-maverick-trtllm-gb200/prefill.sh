#!/bin/sh
# 2 of these, 4 GPUs each (TP4·EP4)
set -eu
port=${1:-8001}
cd "$(dirname "$0")"
exec trtllm-serve meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8 \
  --port "$port" \
  --host 0.0.0.0 \
  --backend pytorch \
  --tp_size 4 \
  --ep_size 4 \
  --max_batch_size 8 \
  --max_num_tokens 8192 \
  --max_seq_len 5376 \
  --config prefill.yaml \
  --kv_cache_free_gpu_memory_fraction 0.5
