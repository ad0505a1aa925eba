#!/usr/bin/env bash
# Two ranks over a network of a chosen speed, on this machine alone.
set -euo pipefail
usage="usage: tests/mpi/network.sh [--rate=RATE] [--build=FOLDER] CONFIG.ini [OPTION...]

Makes two network namespaces with host names of their own, joined by a pair of interfaces; RATE (such as 1gbit, 10gbit; default: no
limit) is what tc lets each send in a second. Runs sluice-bench --ranks in them under Open MPI, TCP alone, a rank in each, with the
given configuration and options, and prints what it prints. Then it compares the bytes that the interface has sent in a round of
steps with those that sluice-bench says. Needs root, ip, tc and Open MPI; exit code 77 where there can be no namespaces."

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$here/../../build/release
rate=
while [[ ${1:-} == -* ]]; do
  case $1 in
    --rate=*) rate=${1#*=} ;;
    --build=*) build=${1#*=} ;;
    -h | --help) echo "$usage"; exit 0 ;;
    *) echo "$usage" >&2; exit 2 ;;
  esac
  shift
done
[ $# -gt 0 ] || { echo "$usage" >&2; exit 2; }
bench=$(cd "$build" && pwd)/bin/sluice-bench
for tool in ip tc mpirun.openmpi unshare; do
  command -v "$tool" >/dev/null || { echo "network.sh: no $tool" >&2; exit 77; }
done

names=(sluice-a-$$ sluice-b-$$)
work=$(mktemp -d)
clean() {
  for name in "${names[@]}"; do
    ip netns del "$name" 2>/dev/null || true
    rm -rf "/etc/netns/$name"
  done
  rm -rf "$work"
}
trap clean EXIT

# space NUMBER COMMAND...: in one of the namespaces, under its host name.
space() {
  local name=${names[$1]}
  shift
  ip netns exec "$name" unshare --uts -- sh -c 'hostname "$0" && exec "$@"' "$name" "$@"
}

for i in 0 1; do
  ip netns add "${names[i]}" || exit 77
  mkdir -p "/etc/netns/${names[i]}"  # what lies there stands for its like in /etc
  printf '127.0.0.1 localhost\n10.77.0.1 %s\n10.77.0.2 %s\n' "${names[@]}" >"/etc/netns/${names[i]}/hosts"
done
ip link add sluice0 netns "${names[0]}" type veth peer name sluice0 netns "${names[1]}"
for i in 0 1; do
  ip -n "${names[i]}" addr add "10.77.0.$((i + 1))/24" dev sluice0
  ip -n "${names[i]}" link set sluice0 up
  ip -n "${names[i]}" link set lo up

  [ -z "$rate" ] || ip netns exec "${names[i]}" tc qdisc add dev sluice0 root tbf rate "$rate" burst 1mb latency 50ms
done

# How mpirun starts what it needs on the other host: AGENT HOST COMMAND...
cat >"$work/agent" <<EOF
#!/bin/sh
shift
exec ip netns exec ${names[1]} unshare --uts -- sh -c 'hostname ${names[1]}; exec sh -c "\$0"' "\$*"
EOF
chmod +x "$work/agent"

sent() { ip netns exec "${names[0]}" cat /sys/class/net/sluice0/statistics/tx_bytes; }
run() {
  space 0 mpirun.openmpi --allow-run-as-root --oversubscribe --bind-to none -n 2 --host "${names[0]}:1,${names[1]}:1" \
    --mca plm_rsh_agent "$work/agent" --mca plm_rsh_no_tree_spawn 1 --mca routed direct \
    --mca pml ob1 --mca btl tcp,self --mca btl_tcp_if_include sluice0 --mca oob_tcp_if_include sluice0 \
    -x OMP_NUM_THREADS=1 "$bench" "$@"
}

# Of a number of steps and of twice as many: what is sent once does not count.
few=3
counts=("$(sent)")
run "$@" --ranks --json --steps=$few >"$work/few.json"
counts+=("$(sent)")
run "$@" --ranks --json --steps=$((2 * few)) >"$work/many.json"
counts+=("$(sent)")
run "$@" --ranks --predict
python3 - "$few" "${counts[@]}" "$work/many.json" <<'EOF'
import json
import sys

few, before, middle, after = map(int, sys.argv[1:5])
with open(sys.argv[5], encoding="utf-8") as file:
    said = json.load(file)
round_bytes = (after - 2 * middle + before) / few
print(f"\ninterface: {round_bytes:.0f} bytes in a round of two steps that send, said {2 * said['bytes_sent']}: "
      f"{round_bytes / (2 * said['bytes_sent']):.3f} times as many (headers, losses, and bytes of the barrier)")
EOF
