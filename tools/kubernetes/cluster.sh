#!/usr/bin/env bash
# A real Kubernetes control plane with fake nodes (kwok) on this machine, for tests: no containers run, all else is real.
#
#   tools/kubernetes/cluster.sh BINARIES STATE [PORT]
#
# BINARIES holds kube-apiserver, kube-controller-manager, kube-scheduler and kwok; etcd is taken from there or from PATH.
# STATE is an empty or new folder; STATE/kubeconfig is written, and "ready" printed, when the cluster answers. Runs until
# it is interrupted, then ends all that it started. PORT defaults to 6443, etcd takes the two after it.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,9p' "$0"; exit 2; }
binaries=$(realpath "$1"); mkdir -p "$2"; state=$(realpath "$2"); port=${3:-6443}
[ -z "$(ls -A "$state")" ] || { echo "$state is not empty." >&2; exit 2; }
export PATH="$binaries:$PATH"
for each in etcd kube-apiserver kube-controller-manager kube-scheduler kwok openssl curl; do
  command -v "$each" > "$state/found" || { echo "$each is neither in $binaries nor on PATH." >&2; exit 2; }
done
here=$(cd "$(dirname "$0")" && pwd)
server=https://127.0.0.1:$port
etcd=http://127.0.0.1:$((port + 1))
token=$(openssl rand -hex 16)

pids=()
finish() { # the newest first: an API server without its etcd takes a minute to end
  trap - EXIT
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    kill "${pids[i]}" 2> "$state/found" || true
    wait "${pids[i]}" || true
  done
}
trap finish EXIT
trap 'exit 0' INT TERM
start() { local name=$1; shift; "$@" > "$state/$name.log" 2>&1 & pids+=($!); }
until_true() { # what, for at most a minute
  local since=$SECONDS
  until "$@" > "$state/found" 2>&1; do
    [ $((SECONDS - since)) -lt 60 ] || { echo "gave up waiting for: $*; see $state/*.log" >&2; exit 1; }
    sleep 0.2
  done
}
ask() { curl --silent --fail --cacert "$state/certs/apiserver.crt" --header "Authorization: Bearer $token" "$@"; }
apply() { # path manifest
  ask --request POST --header 'content-type: application/yaml' --data-binary @"$2" "$server$1"
}

(umask 077 && echo "$token,admin,admin,system:masters" > "$state/tokens.csv" \
  && openssl genrsa -out "$state/accounts.key" 2048 2> "$state/found")
start etcd etcd --data-dir "$state/etcd" --listen-client-urls "$etcd" --advertise-client-urls "$etcd" \
  --listen-peer-urls "http://127.0.0.1:$((port + 2))"
start apiserver kube-apiserver --etcd-servers "$etcd" --secure-port "$port" --bind-address 127.0.0.1 \
  --cert-dir "$state/certs" --token-auth-file "$state/tokens.csv" --authorization-mode RBAC \
  --service-cluster-ip-range 10.96.0.0/16 --service-account-issuer https://kubernetes.default.svc \
  --service-account-key-file "$state/accounts.key" --service-account-signing-key-file "$state/accounts.key"
until_true test -s "$state/certs/apiserver.crt"
until_true ask "$server/readyz"
(umask 077 && cat > "$state/kubeconfig" << END
apiVersion: v1
kind: Config
current-context: test
contexts: [{ name: test, context: { cluster: test, user: admin } }]
clusters: [{ name: test, cluster: { server: "$server", certificate-authority: certs/apiserver.crt } }]
users: [{ name: admin, user: { token: "$token" } }]
END
)
start controller-manager kube-controller-manager --kubeconfig "$state/kubeconfig" --use-service-account-credentials \
  --service-account-private-key-file "$state/accounts.key" --root-ca-file "$state/certs/apiserver.crt" --leader-elect=false
start scheduler kube-scheduler --kubeconfig "$state/kubeconfig" --leader-elect=false
start kwok kwok --kubeconfig "$state/kubeconfig" --manage-all-nodes --node-lease-duration-seconds 40
until_true apply /api/v1/nodes "$here/node.yaml"
echo "ready: STATOR_KUBECONFIG=$state/kubeconfig"
wait -n
echo "one of the processes ended; see $state/*.log" >&2
exit 1
