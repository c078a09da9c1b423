#!/bin/sh
# worker.sh POOL INDEX [PORT]: waits for the engine on that port of this host, then serves it to the namespace.
set -eu
pool=$1 index=$2 port=${3:-8001}
discovery=${DISCOVERY:-file}
events=${KV_EVENTS_PORT:-5557}
case $pool in
  prefill) role=prefill ;;
  decode) role=decode ;;
  *) echo "unknown pool $pool" >&2; exit 64 ;;
esac
host=127.0.0.1 advertise=127.0.0.1
if [ "$discovery" != file ]; then
  host=0.0.0.0
  advertise=${ADVERTISE:-$(hostname -I | cut -d' ' -f1)}
fi
until curl -fsS -o /dev/null "http://127.0.0.1:$port/health"; do sleep 2; done
exec stator worker --model deepseek-ai/DeepSeek-R1 --role "$role" \
  --engine sglang --url "http://127.0.0.1:$port" \
  --kv-events "tcp://127.0.0.1:$events?replay=$((events + 1000))" \
  --connector nixl \
  --id "$pool-$index" --namespace deepseek-r1 --discovery "$discovery" \
  --host "$host" --advertise "$advertise" --metrics-port "$((port + 1000))"
