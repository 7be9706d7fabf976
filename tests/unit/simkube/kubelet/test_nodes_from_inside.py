"""A node as a pod on it can see it: its files, its processes, its logs, and the tools to look with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.clock.clock import Clock
from simkube.cluster.cluster import Cluster
from simkube.etcd.store import Store
from tests.doubles.whole_cluster import ME, NODE, WholeCluster

DEBUGGER: dict[str, Any] = {
    "nodeName": NODE,
    "hostPID": True,
    "hostIPC": True,
    "hostNetwork": True,
    "restartPolicy": "Never",
    "tolerations": [{"operator": "Exists"}],
    "volumes": [{"name": "host-root", "hostPath": {"path": "/"}}],
}
HOST = [{"name": "host-root", "mountPath": "/host"}]


@pytest.fixture
def lab() -> Iterator[WholeCluster]:
    made = WholeCluster()
    made.run({"name": "app", "image": "busybox:1.35", "command": ["sh", "-c", "echo hello; sleep 9999"]}, name="app")
    debugger = {"name": "debugger", "image": "busybox:1.35", "stdin": True, "volumeMounts": HOST}
    made.run(debugger, name="debug", **DEBUGGER)
    yield made
    made.cluster.stop()


def sh(lab: WholeCluster, script: str, name: str = "debug", container: str = "debugger") -> str:
    return lab.exec(container, "sh", "-c", script, name=name)


def test_all_processes_of_the_node_are_there(lab: WholeCluster) -> None:
    told = sh(lab, "ps -o pid,ppid,args")
    for line in ("1     0 /sbin/init", "/usr/local/bin/containerd", "/usr/bin/kubelet --config=", "sleep 9999"):
        assert line in told
    assert "kube-scheduler --kubeconfig" in told, "static pods have no containers here, but they run"
    lab.cluster.kubelets[NODE].stop()
    assert "kubelet --config" not in sh(lab, "ps -o args")
    lab.cluster.kubelets[NODE].start()


def test_a_process_has_a_number_here_and_one_in_its_container(lab: WholeCluster) -> None:
    pid = sh(lab, "ps -o pid,args | grep '[s]leep 9999'").split()[0]
    assert int(pid) > 1000
    assert sh(lab, "ps -o pid,args | grep '[s]leep 9999'", "app", "app").split()[0] != pid
    assert sh(lab, f"tr '\\0' ' ' < /proc/{pid}/cmdline").strip() == "sleep 9999"
    assert sh(lab, f"cat /host/proc/{pid}/comm").strip() == "sleep"
    sh(lab, f"kill -9 {pid}")
    lab.cluster.advance(3)
    assert lab.pod("app")["status"]["containerStatuses"][0]["restartCount"] == 1


def test_daemons_are_only_looked_at(lab: WholeCluster) -> None:
    pid = sh(lab, "ps -o pid,args | grep '[k]ubelet --config'").split()[0]
    assert "not permitted" in sh(lab, f"kill {pid} 2>&1")
    assert "kubelet --config" in sh(lab, "ps -o args")


def test_others_see_nothing_of_it(lab: WholeCluster) -> None:
    assert "kubelet" not in sh(lab, "ps", "app", "app")


def test_the_files_of_the_node(lab: WholeCluster) -> None:
    assert "trixie" in sh(lab, "cat /host/etc/os-release")
    assert sh(lab, "cat /host/etc/hostname").strip() == NODE
    assert sh(lab, "ls /host/etc/kubernetes/manifests").split() == [
        "etcd.yaml",
        "kube-apiserver.yaml",
        "kube-controller-manager.yaml",
        "kube-scheduler.yaml",
    ]
    assert "--leader-elect=true" in sh(lab, "cat /host/etc/kubernetes/manifests/kube-scheduler.yaml")
    assert "Read-only file system" in sh(lab, "echo > /host/etc/kubernetes/manifests/x.yaml 2>&1")
    assert "staticPodPath" in sh(lab, "cat /host/var/lib/kubelet/config.yaml")
    assert sh(lab, "ls -d /host/lib/modules/*").strip().endswith("-simkube")
    sh(lab, "echo kept > /host/tmp/note; rm /host/etc/crictl.yaml; echo new > /host/etc/hostname")
    assert sh(lab, "cat /host/tmp/note /host/etc/hostname").split() == ["kept", "new"]
    assert "No such file" in sh(lab, "ls /host/etc/crictl.yaml 2>&1")


def test_the_logs_of_pods(lab: WholeCluster) -> None:
    uid = lab.pod("app")["metadata"]["uid"]
    assert sh(lab, f"cat /host/var/log/pods/default_app_{uid}/app/0.log").endswith(" stdout F hello\n")
    links = sh(lab, "ls /host/var/log/containers").split()
    assert [link.rpartition("-")[0] for link in links] == ["app_default_app", "debug_default_debugger"]
    assert sh(lab, "chroot /host sh -c 'cat /var/log/containers/app_*'").endswith("hello\n")
    logs = [{"name": "v", "hostPath": {"path": "/var/log"}}]
    mount = [{"name": "v", "mountPath": "/var/log", "readOnly": True}]
    reader = {"name": "reader", "image": "busybox:1.35", "command": ["sleep", "9999"], "volumeMounts": mount}
    lab.run(reader, name="reader", volumes=logs)
    assert sh(lab, "tail -n 1 /var/log/containers/app_*", "reader", "reader").endswith("hello\n")
    assert "Read-only" in sh(lab, "echo > /var/log/pods/x 2>&1", "reader", "reader")


def test_another_root(lab: WholeCluster) -> None:
    assert "trixie" in sh(lab, "chroot /host cat /etc/os-release")
    assert sh(lab, "chroot /host sh -c 'pwd; ls -d /host 2>&1; cd /..; pwd'").splitlines()[::2] == ["/", "/"]
    assert "kubelet --config" in sh(lab, "chroot /host ps -o args")
    sh(lab, "chroot /host sh -c 'echo a > /tmp/a'")
    assert sh(lab, "cat /host/tmp/a").strip() == "a"
    assert "/etc/hosts" not in sh(lab, "chroot /host mount"), "what a container has of its own is not the node's"
    assert sh(lab, "ls -l /host/run/containerd/").splitlines()[1][0] == "s"
    assert "No such file" in sh(lab, "chroot /none ls 2>&1")
    assert "can't execute" in sh(lab, "chroot /host apachectl 2>&1")
    assert "Operation not permitted" in _as_user(lab, "chroot / ls 2>&1")


def _as_user(lab: WholeCluster, script: str) -> str:
    user = {"name": "user", "image": "busybox:1.35", "command": ["sleep", "9999"]}
    lab.run({**user, "securityContext": {"runAsUser": 1000}}, name="user")
    return sh(lab, script, "user", "user")


def test_the_tools_of_the_node(lab: WholeCluster) -> None:
    told = sh(lab, "chroot /host crictl ps").splitlines()
    assert [row.split()[-2:] for row in told[1:]] == [["debug", "default"], ["app", "default"]]
    assert "Exited" not in "".join(told)
    identity = told[2].split()[0]
    assert sh(lab, f"chroot /host crictl logs {identity}") == "hello\n"
    assert "busybox" in sh(lab, "chroot /host crictl images")
    assert [row.split()[-3] for row in sh(lab, "chroot /host crictl pods").splitlines()[1:]] == ["default", "default"]
    assert "is not simulated" in sh(lab, "chroot /host crictl exec x ls 2>&1")
    assert "active (running)" in sh(lab, "chroot /host systemctl status kubelet")
    assert "not simulated" in sh(lab, "chroot /host systemctl restart kubelet 2>&1")
    lab.run({"name": "web", "image": "none:1"}, name="broken")
    journal = sh(lab, "chroot /host journalctl -u kubelet --no-pager")
    assert "Started kubelet.service" in journal
    assert 'pod="default/broken" containerName="web"' in journal
    lab.cluster.kubelets[NODE].stop()
    assert sh(lab, "chroot /host systemctl is-active kubelet") == "inactive\n"
    lab.cluster.kubelets[NODE].start()


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("/run/containerd/containerd.sock", "Socket", ""),
        ("/var/run/containerd/containerd.sock", "Socket", ""),
        ("/var/run/docker.sock", "Socket", "/var/run/docker.sock is not a socket file"),
        ("/dev/null", "CharDevice", ""),
        ("/proc/meminfo", "File", ""),
        ("/proc/nothing", "Directory", "/proc/nothing is not a directory"),
        ("/dev/sda", "BlockDevice", "/dev/sda is not a block device"),
        ("/etc/os-release", "File", ""),
        ("/etc/os-release", "Directory", "/etc/os-release is not a directory"),
        ("/lib/modules", "Directory", ""),
        ("/proc", "Directory", ""),
        ("/sys/fs/cgroup", "Directory", ""),
        ("/var/lib/kubelet", "Directory", ""),
        ("/etc/kubernetes/manifests", "Directory", ""),
        ("/data/new", "DirectoryOrCreate", ""),
        ("/data", "", ""),
    ],
)
def test_kinds_of_host_paths(lab: WholeCluster, path: str, kind: str, message: str) -> None:
    volume = {"name": "v", "hostPath": {"path": path, **({"type": kind} if kind else {})}}
    container = {"name": "web", "image": "busybox:1.35", "command": ["sh", "-c", "ls /v && sleep 9999"]}
    mounts = [{"name": "v", "mountPath": "/v"}]
    lab.run({**container, "volumeMounts": mounts}, name="web", volumes=[volume], tolerations=[{"operator": "Exists"}])
    failed = [one["message"] for one in lab.cluster.apiserver.list(ME, "events") if one["reason"] == "FailedMount"]
    prefix = 'MountVolume.SetUp failed for volume "v" : hostPath type check failed: '
    assert failed == ([f"{prefix}{message}"] if message else [])
    assert lab.pod("web")["status"]["phase"] == ("Pending" if message else "Running")


def test_a_read_only_mount_and_a_part(lab: WholeCluster) -> None:
    volume = {"name": "v", "hostPath": {"path": "/etc"}}
    mount = [{"name": "v", "mountPath": "/v", "readOnly": True, "subPath": "kubernetes"}]
    container = {"name": "web", "image": "busybox:1.35", "command": ["sleep", "9999"], "volumeMounts": mount}
    lab.run(container, name="web", volumes=[volume])
    assert sh(lab, "ls /v", "web", "web").split() == ["manifests", "pki"]
    assert len(sh(lab, "ls /v/manifests", "web", "web").split()) == 4
    assert "Read-only" in sh(lab, "touch /v/x 2>&1", "web", "web")


def test_what_was_written_outlives_the_host_and_nothing_else_is_stored(lab: WholeCluster) -> None:
    sh(lab, "echo kept > /host/etc/motd; rm /host/etc/crictl.yaml; mkdir /host/data")
    lab.cluster.advance(60)
    lab.cluster.stop()
    stored = lab.cluster.store.side.get(f"disk/{NODE}")
    assert len(str(stored)) < 6000, "what a node is installed with is not stored"
    again = Cluster("lab", lab.cluster.store, Clock(lab.clock.now() + 5), {"nodes": [{"role": "control-plane"}]})
    disk = again.kubelets[NODE].runtime.disk
    assert (disk.read("/etc/motd"), disk.kind("/etc/crictl.yaml"), disk.kind("/data")) == (b"kept\n", "", "directory")
    assert disk.kind("/etc/os-release") == "file"
    assert isinstance(lab.cluster.store, Store)


def test_a_disk_that_was_stored_when_nodes_began_empty(lab: WholeCluster) -> None:
    kept = {"tree": {"": [], "var": {"mode": 0o755, "dir": {"": [], "a": {"mode": 0o755, "dir": {"": []}}}}}}
    disk = lab.cluster.kubelets[NODE].runtime.disk
    disk.restore(kept)
    kinds = [disk.kind(path) for path in ("/var/a", "/var/lib/kubelet", "/etc/os-release")]
    assert kinds == ["directory", "directory", "file"]


def test_a_local_volume_and_a_block_volume(lab: WholeCluster) -> None:
    sh(lab, "mkdir -p /host/mnt/disks/a; echo data > /host/mnt/disks/a/file")
    where = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    for name, mode in (("files", "Filesystem"), ("blocks", "Block")):
        spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": name}
        spec |= {"volumeMode": mode, "local": {"path": "/mnt/disks/a"}}
        spec |= {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [where]}]}}}
        volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
        lab.cluster.apiserver.create(ME, "persistentvolumes", volume)
        wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        wanted |= {"storageClassName": name, "volumeMode": mode}
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": wanted}
        lab.cluster.apiserver.create(ME, "persistentvolumeclaims", claim, "default")
    lab.cluster.advance(5)
    claims = lab.cluster.apiserver.list(ME, "persistentvolumeclaims", "default")
    assert [one["status"]["phase"] for one in claims] == ["Bound", "Bound"], "a claim finds a volume of its mode"
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "files"}}]
    mounts = [{"name": "v", "mountPath": "/v"}]
    container = {"name": "web", "image": "busybox:1.35", "command": ["sleep", "9999"]}
    lab.run({**container, "volumeMounts": mounts}, name="web", volumes=volumes)
    assert sh(lab, "cat /v/file", "web", "web") == "data\n"
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "blocks"}}]
    lab.run({**container, "volumeMounts": mounts}, name="wrong", volumes=volumes)
    failed = [one["message"] for one in lab.cluster.apiserver.list(ME, "events") if one["reason"] == "FailedMount"]
    assert "volume blocks has volumeMode Block, but is specified in volumeMounts" in failed[0]
    devices = [{"name": "v", "devicePath": "/dev/xvda"}]
    with pytest.raises(StatusError) as refused:
        _created(lab, {"containers": [{**container, "volumeDevices": devices}], "volumes": volumes})
    assert (refused.value.code, "a block volume (volumeDevices)" in refused.value.message) == (501, True)


def _created(lab: WholeCluster, spec: dict[str, Any]) -> None:
    from simkube.apiserver.registry.kinds import RESOURCES
    from simkube.apiserver.registry.request import Request

    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "no"}, "spec": spec}
    lab.cluster.apiserver.do_create(Request(ME, "create", RESOURCES["pods"], "default", checked=True), pod)


@pytest.mark.parametrize(
    "volume", [{"emptyDir": {}}, {"hostPath": {"path": "/etc"}}, {"hostPath": {"path": "/proc"}}], ids=str
)
def test_a_part_that_cannot_be_mounted(lab: WholeCluster, volume: dict[str, Any]) -> None:
    mounts = [{"name": "v", "mountPath": "/v", "subPath": "hostname/x"}]
    first = {
        "name": "first",
        "image": "busybox:1.35",
        "command": ["sh", "-c", "test -e /w/hostname || touch /w/hostname"],
    }
    first["volumeMounts"] = [{"name": "v", "mountPath": "/w"}]
    container = {"name": "web", "image": "busybox:1.35", "command": ["sleep", "9999"], "volumeMounts": mounts}
    lab.run(container, name="web", volumes=[{"name": "v", **volume}], initContainers=[first])
    lab.cluster.advance(10)
    waiting = lab.pod("web")["status"]["containerStatuses"][0]["state"]["waiting"]
    if volume.get("hostPath", {}).get("path") == "/proc":
        assert waiting["reason"] == "PodInitializing", "nothing is written there"
        return
    assert waiting["reason"] == "CreateContainerConfigError"
    assert 'failed to prepare subPath for volumeMount of container "web"' in waiting["message"]


PATHS = [
    *("/", "/etc", "/etc/hostname", "/etc/hostname/x", "/etc/kubernetes/manifests", "/bin", "/bin/sh", "/new/a"),
    *("/proc", "/proc/1", "/sys/fs/cgroup", "/dev", "/dev/null", "/var/run", "/var/log", "/var/log/pods"),
]
KINDS = ["", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket", "CharDevice", "BlockDevice"]
PLACES = ["/host", "/", "/proc", "/etc/hosts", "/dev/null", "/a/b", "/etc", "/dev", "/tmp", "/bin", "/host/proc"]
PARTS = ["", "x", "hostname", "hostname/x", "pods", "meminfo", "a/b", "1"]
HAVOC = """
ls -laR /host /a 2>/dev/null | head -50; ps; echo x > /host/x; rm -rf /host/etc/kubernetes /host/new; mkdir -p /host/n/a
cp -r /host/bin /a/b/c; find / -maxdepth 2 | head; chroot /host ls; chroot /a sh -c 'crictl ps; ls -R /'
mv /host/etc /host/etc2; cat /host/proc/*/cmdline; df; mount; sleep 3
"""


def test_whatever_is_mounted_no_component_fails(lab: WholeCluster) -> None:
    chance = random.Random(7)
    for number in range(24):
        sources = [{"path": chance.choice(PATHS), "type": chance.choice(KINDS)} for _ in "vw"]
        volumes = [{"name": name, "hostPath": source} for name, source in zip("vw", sources, strict=True)]
        volumes.append({"name": "e", "emptyDir": {}})
        mounts = [
            {"name": chance.choice("evw"), "mountPath": place, "subPath": chance.choice(PARTS)}
            for place in chance.sample(PLACES, chance.choice([1, 2, 3]))
        ]
        container = {"name": "web", "image": "busybox:1.35", "command": ["sh", "-c", HAVOC], "volumeMounts": mounts}
        where = {"nodeName": NODE, "tolerations": [{"operator": "Exists"}], "hostPID": chance.random() < 0.4}
        lab.run(container, name=f"p{number}", volumes=volumes, restartPolicy="Never", **where)
    lab.cluster.advance(30)
    assert not lab.clock.crashes.latest
    lab.run({"name": "web", "image": "busybox:1.35", "command": ["sleep", "9999"]}, name="after")
    assert lab.pod("after")["status"]["phase"] == "Running"
