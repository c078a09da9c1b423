#!/bin/sh
# One part on this host. DISCOVERY names a Redis that all hosts reach, such as redis://host0:6379.
#   ./bare-metal.sh frontend
#   ./bare-metal.sh prefill 0 NODE LEADER   # on each of its 2 hosts, NODE from 0; LEADER is host 0
#   ./bare-metal.sh decode 0 NODE LEADER   # on each of its 12 hosts, NODE from 0; LEADER is host 0
set -eu
cd "$(dirname "$0")"
: "${DISCOVERY:?set it to redis://HOST:6379}"
export DISCOVERY
pool=$1 index=${2:-0} node=${3:-0} leader=${4:-127.0.0.1}
if [ "$pool" = frontend ]; then
  exec stator frontend layout.yaml --host "${HOST:-127.0.0.1}" --port "${PORT:-8000}" --discovery "$DISCOVERY"
fi
case $pool in
  prefill) script=prefill.sh ;;
  decode) script=decode.sh ;;
  *) echo "unknown pool $pool" >&2; exit 64 ;;
esac
sh "./$script" 8001 "$node" "$leader" & engine=$!
if [ "$node" != 0 ]; then
  trap 'kill -TERM $engine' INT TERM
  wait "$engine"
  exit
fi
sh ./worker.sh "$pool" "$index" 8001 & worker=$!
# The worker drains before its engine goes.
trap 'kill -TERM $worker; wait $worker || true; kill -TERM $engine' INT TERM
wait "$worker" || true
kill -TERM "$engine" 2>/dev/null || true
wait "$engine" || true
