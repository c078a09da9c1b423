/**
 * Starts a TensorRT-LLM worker of several pods: the leader runs one rank per GPU over SSH, the others answer. The key
 * pair comes from the Secret `mpi-ssh`.
 */
export const mpiScript = `#!/bin/sh
# mpi.sh SCRIPT GPUS-PER-POD: in every pod of a group; the first one starts the ranks of all.
set -eu
mkdir -p /root/.ssh /run/sshd
cp /etc/stator-ssh/* /root/.ssh/
cat /root/.ssh/id_ed25519.pub >> /root/.ssh/authorized_keys
chmod -R go= /root/.ssh
if [ "$LWS_WORKER_INDEX" != 0 ]; then
  exec /usr/sbin/sshd -D -e -p 2222
fi
first=\${LWS_LEADER_ADDRESS%%.*}
rest=\${LWS_LEADER_ADDRESS#*.}
hosts="$LWS_LEADER_ADDRESS:$2"
options="-p 2222 -o StrictHostKeyChecking=no -o ConnectTimeout=5"
/usr/sbin/sshd -p 2222
index=1
while [ "$index" -lt "$LWS_GROUP_SIZE" ]; do
  host="$first-$index.$rest"
  # shellcheck disable=SC2086
  until ssh $options "$host" true; do sleep 2; done
  hosts="$hosts,$host:$2"
  index=$((index + 1))
done
exec mpirun --allow-run-as-root -np "$((LWS_GROUP_SIZE * $2))" --host "$hosts" \\
  --mca plm_rsh_args "$options" -x HF_HOME -x PATH -x LD_LIBRARY_PATH \\
  sh "/etc/stator/$1" 8001
`;
