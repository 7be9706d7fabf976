"""Short shell scripts that run in a node of a kind cluster, to break something and to undo it. Data: no logic here.

Each may run twice, and ends with 0 when what it is for is so. Rules of iptables carry a comment that begins with
``kindling``, so that they are found again.
"""

from __future__ import annotations

_PLACES = """
set -e
manifests=/etc/kubernetes/manifests aside=/etc/kubernetes/stopped-by-kindling dns=/etc/kubernetes/coredns-replicas
mkdir -p $aside
runs() { pgrep -x $(printf %.15s $1) > /dev/null; }
await_stop() {
  for look in $(seq 400); do runs $1 || return 0; sleep 0.3; done
  echo "$1 did not stop within two minutes of its manifest being taken away"; exit 1
}
await_start() {
  for look in $(seq 400); do if runs $1; then return 0; fi; sleep 0.3; done
  echo "$1 did not start within two minutes of its manifest being given back"; exit 1
}
system() { kubectl --kubeconfig /etc/kubernetes/admin.conf --namespace kube-system "$@"; }
"""

STOP_STATIC_POD = (
    _PLACES
    + """
test ! -e $manifests/$1.yaml || mv $manifests/$1.yaml $aside/$1.yaml
await_stop $1
"""
)
START_STATIC_POD = _PLACES + "test ! -e $aside/$1.yaml || mv $aside/$1.yaml $manifests/$1.yaml\nawait_start $1"
"""It waits: a manifest that is taken away again at once would find no process to wait for, and the kubelet would start
one all the same."""

_BACKUPS = (
    _PLACES
    + """
backups=/var/lib/kindling-backups data=/var/lib/etcd
mkdir -p -m 700 $backups
take_away() {
  for each in "$@"; do test ! -e $manifests/$each.yaml || mv $manifests/$each.yaml $aside/; done
  for each in "$@"; do await_stop $each; done
}
give_back() {
  for each in "$@"; do mv $aside/$each.yaml $manifests/; done
  for each in "$@"; do await_start $each; done
}
"""
)
BACKUP = (
    _BACKUPS
    + """
if [ ! -d $backups/$1 ] && [ $(ls $backups | wc -l) -ge 3 ]; then echo "3 backups are kept already"; exit 1; fi
take_away etcd
rm -rf $backups/$1
cp -a $data $backups/$1
give_back etcd
"""
)
"""Of etcd at rest: its image need not have ``etcdctl``, and what is copied then is whole."""
RESTORE = (
    _BACKUPS
    + """
if [ ! -d $backups/$1 ]; then echo "there is no backup $1"; exit 1; fi
all='kube-scheduler kube-controller-manager kube-apiserver etcd'
take_away $all
rm -rf $data/member
cp -a $backups/$1/member $data/
give_back $all
"""
)
RECONNECT = "systemctl restart kubelet; pkill -x 'kube-proxy|coredns|kindnetd' || true"
"""For whoever watches: they know revisions that a restored API server has not reached yet."""

_CONTROLLERS = (
    _PLACES
    + """
manifest=$manifests/kube-controller-manager.yaml
test -e $manifest || manifest=$aside/kube-controller-manager.yaml
leader() { system get lease kube-controller-manager --output 'jsonpath={.spec.holderIdentity}' 2> /dev/null || true; }
change() {
  before=$(leader)
  sed "$1" $manifest > /etc/kubernetes/changed-by-kindling
  if cmp -s $manifest /etc/kubernetes/changed-by-kindling; then exit 0; fi
  mv /etc/kubernetes/changed-by-kindling $manifest
  test $manifest = $manifests/kube-controller-manager.yaml || exit 0
  wanted=$(grep -o -e '--controllers=.*' $manifest)
  for look in $(seq 300); do
    sleep 0.2
    pgrep -a -x kube-controller | grep -q -F -e "$wanted " || continue
    curl --silent --insecure --fail https://127.0.0.1:10257/healthz > /dev/null || continue
    if [ -z "$before" ] || grep -q -e --leader-elect=false $manifest; then exit 0; fi
    now=$(leader)
    if [ -n "$now" ] && [ "$now" != "$before" ]; then exit 0; fi
  done
  echo "kube-controller-manager does not lead again within a minute"; exit 1
}
"""
)
STOP_CONTROLLER = (
    _CONTROLLERS
    + """
grep -q -- "--controllers=.*,-$1\\(,\\|$\\)" $manifest && exit 0
change "s/--controllers=.*/&,-$1/"
"""
)
START_CONTROLLER = _CONTROLLERS + 'change "/--controllers=/s/,-$1\\(,\\|$\\)/\\1/"'

STOP_COREDNS = (
    _PLACES
    + """
replicas=$(system get deployment coredns --output 'jsonpath={.spec.replicas}')
[ "$replicas" = 0 ] || echo $replicas > $dns
system scale deployment coredns --replicas 0 > /dev/null
system wait --for delete pod --selector k8s-app=kube-dns --timeout 60s > /dev/null 2>&1 || true
"""
)
START_COREDNS = (
    _PLACES
    + """
test -e $dns || exit 0
system scale deployment coredns --replicas $(cat $dns) > /dev/null &&
  system rollout status deployment coredns --timeout 90s > /dev/null || true
rm $dns
"""
)

_RULES = """
undo() {
  iptables -w -t mangle -S | grep -e "$1" | sed 's/^-A/-D/' | while read -r rule; do iptables -w -t mangle $rule; done
}
"""
CUT = """
set -e
for way in 'PREROUTING -i' 'POSTROUTING -o'; do
  rule="$way eth0 -m comment --comment kindling-cut -j DROP"
  iptables -w -t mangle -C $rule 2> /dev/null || iptables -w -t mangle -I $rule
done
"""
_MEND = 'undo "-s $1/32 -d $2/32 .*--comment kindling-path"'
MEND_PATH = _RULES + _MEND
LOSSY_PATH = """
set -e
for chain in FORWARD INPUT; do
  iptables -w -t mangle -I $chain -s $1 -d $2 -m statistic --mode random --probability $3 \\
    -m comment --comment kindling-path -j DROP
done
"""

_SLOW = "/run/kindling-slow"
_PODS = """
pods=
for found in $(find /sys/fs/cgroup -maxdepth 6 -type d -name '*kubepods*'); do
  if [ -e $found/freezer.state ] || [ -e $found/cgroup.freeze ]; then pods=$found; break; fi
done
"""
CAN_FREEZE = _PODS + 'test -n "$pods" || { echo "this node has no freezer for its pods"; exit 1; }'
SLOW = (
    f"slow={_SLOW}\n"
    + _PODS
    + """
if [ -e $pods/freezer.state ]; then file=freezer.state frozen=FROZEN thawed=THAWED
else file=cgroup.freeze frozen=1 thawed=0; fi
test ! -e $slow || exit 0
touch $slow
for round in $(seq 3600); do
  test -e $slow || exit 0
  echo $frozen > $pods/$file; sleep 0.45; echo $thawed > $pods/$file; sleep 0.05
done
rm -f $slow
"""
)

FREEZE = "mkdir -p /run/kindling-frozen && touch /run/kindling-frozen/$1 && ctr -n k8s.io tasks kill -a -s SIGSTOP $1"
THAW = "rm -f /run/kindling-frozen/$1; ctr -n k8s.io tasks kill -a -s SIGCONT $1"
"""All processes of a container, by signals: the kernel's freezer would stop its probes as well."""

JOIN = _RULES + f"undo kindling-cut; rm -f {_SLOW}"

HEAL = (
    _PLACES
    + _RULES
    + f"""
rm -f {_SLOW}
undo kindling-
for one in $(ls /run/kindling-frozen 2> /dev/null); do
  ctr -n k8s.io tasks kill -a -s SIGCONT $one 2> /dev/null || true
  rm -f /run/kindling-frozen/$one
  echo $one
done
pkill -CONT -x kube-proxy || true
if [ "$(systemctl is-active kubelet)" = inactive ]; then systemctl start kubelet; fi
for manifest in $aside/*.yaml; do
  test -e $manifest || continue
  mv $manifest $manifests/
  await_start $(basename $manifest .yaml)
  echo $manifest
done
manager=$manifests/kube-controller-manager.yaml
if grep -q -e '--controllers=.*,-' $manager 2> /dev/null; then
  sed '/--controllers=/s/,-[a-z-]*//g' $manager > /etc/kubernetes/changed-by-kindling
  mv /etc/kubernetes/changed-by-kindling $manager
fi
"""
)
"""Prints what was away that others may have to wait for."""
