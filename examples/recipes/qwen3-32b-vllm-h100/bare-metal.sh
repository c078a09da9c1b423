#!/bin/sh
# All of it on this host. Ctrl-C drains: frontend and workers first, then their engines.
set -eu
cd "$(dirname "$0")"
engines='' speakers=''
stop() {
  trap - EXIT INT TERM
  # shellcheck disable=SC2086
  for pids in "$speakers" "$engines"; do
    [ -z "$pids" ] || kill -TERM $pids 2>/dev/null || true
    [ -z "$pids" ] || wait $pids || true
  done
}
trap stop EXIT INT TERM
start() { # pool, index, script, GPUs, which of all
  export CUDA_VISIBLE_DEVICES="$4" KV_EVENTS_PORT="$((5557 + $5))" VLLM_NIXL_SIDE_CHANNEL_PORT="$((5600 + 20 * $5))"
  port=$((${FIRST_PORT:-8001} + $5))
  sh "./$3" "$port" & engines="$engines $!"
  sh ./worker.sh "$1" "$2" "$port" & speakers="$speakers $!"
}
start prefill 0 prefill.sh 0,1 0
start prefill 1 prefill.sh 2,3 1
start decode 0 decode.sh 4,5 2
start decode 1 decode.sh 6,7 3
stator frontend layout.yaml --host "${HOST:-127.0.0.1}" --port "${PORT:-8000}" & speakers="$speakers $!"
wait
