#!/bin/sh
# One part on this host. DISCOVERY names a Redis that all hosts reach, such as redis://host0:6379.
#   ./bare-metal.sh frontend
#   HOSTS=host1:4,host2:4,… ./bare-metal.sh prefill 0   # on the first of its 4 hosts
#   HOSTS=host1:4,host2:4,… ./bare-metal.sh decode 0   # on the first of its 4 hosts
set -eu
cd "$(dirname "$0")"
: "${DISCOVERY:?set it to redis://HOST:6379}"
export DISCOVERY
pool=$1 index=${2:-0} node=${3:-0}
if [ "$pool" = frontend ]; then
  exec stator frontend layout.yaml --host "${HOST:-127.0.0.1}" --port "${PORT:-8000}" --discovery "$DISCOVERY"
fi
case $pool in
  prefill) script=prefill.sh ranks=16 ;;
  decode) script=decode.sh ranks=16 ;;
  *) echo "unknown pool $pool" >&2; exit 64 ;;
esac
mpirun -np "$ranks" --host "${HOSTS:?set it to host1:GPUS,host2:GPUS,…}" sh "$PWD/$script" 8001 & engine=$!
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
