"""What courses type into containers, with the real kubectl: bash, packages, DNS tools, redis, nginx's templates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simkube.host.launcher import HostClient
from tests.conformance.conftest import Runner, kubectls, learners, topology

FILES = """
apiVersion: v1
kind: ConfigMap
metadata: {name: files}
data:
  redis.conf: "maxmemory 2mb\\nmaxmemory-policy allkeys-lru\\n"
  default.conf.template: "server { listen 80; location / { return 200 '${WORDS} from a template'; } }\\n"
---
apiVersion: v1
kind: Pod
metadata: {name: redis}
spec:
  containers:
  - name: redis
    image: redis:7
    command: [redis-server, /redis-master/redis.conf]
    volumeMounts: [{mountPath: /redis-master, name: files}]
  volumes: [{name: files, configMap: {name: files}}]
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {run: web}}
spec:
  containers:
  - name: web
    image: nginx
    env: [{name: WORDS, value: hello}]
    volumeMounts: [{mountPath: /etc/nginx/templates, name: files}]
    readinessProbe: {httpGet: {port: 80}, periodSeconds: 1}
  volumes: [{name: files, configMap: {name: files, items: [{key: default.conf.template, path: default.conf.template}]}}]
"""


@pytest.fixture(scope="module")
def kubectl(host: HostClient, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    folder: Path = tmp_path_factory.mktemp("tools")
    host.create("tools", topology("single"))
    runner = Runner(kubectls()[0], learners(host, "tools", folder))
    runner("apply", "-f", "-", given=FILES)
    runner("expose", "pod", "web", "--port=80")
    runner("run", "box", "--image=busybox", "--", "sleep", "100000")
    runner("run", "dns", "--image=registry.k8s.io/e2e-test-images/agnhost:2.39")
    runner("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    return runner


def test_bash_and_apt_in_a_debian_image(kubectl: Runner) -> None:
    script = "a=(1 2 3); for ((i = 0; i < 2; i++)); do echo -n ${a[i]}; done; [[ $HOSTNAME == web ]] && echo :$HOSTNAME"
    assert kubectl("exec", "web", "--", "bash", "-c", script) == "12:web\n"
    assert "executable file not found" in kubectl("exec", "web", "--", "ps", fails=True)
    kubectl("exec", "web", "--", "bash", "-c", "apt-get update && apt-get install -y procps iproute2")
    assert "nginx: master process nginx -g daemon off;" in kubectl("exec", "web", "--", "ps", "aux")
    assert re.search(r"LISTEN .* 0.0.0.0:80 ", kubectl("exec", "web", "--", "ss", "-tlnp"))


def test_templates_are_filled_before_nginx_starts(kubectl: Runner) -> None:
    patiently = "for i in 1 2 3 4 5 6 7 8 9; do wget -qO- web 2>/dev/null && exit 0; sleep 1; done; exit 1"
    assert kubectl("exec", "box", "--", "sh", "-c", patiently) == "hello from a template"
    assert "Running envsubst on /etc/nginx/templates/default.conf.template" in kubectl("logs", "web")


def test_names_are_looked_up_with_the_tools_of_the_documentation(kubectl: Runner) -> None:
    full = "kubernetes.default.svc.cluster.local"
    assert kubectl("exec", "dns", "--", "dig", "+short", full) == "10.96.0.1\n"
    assert f"Name:\t{full}\nAddress: 10.96.0.1" in kubectl("exec", "dns", "--", "nslookup", "kubernetes.default")
    assert kubectl("exec", "dns", "--", "host", full) == f"{full} has address 10.96.0.1\n"


def test_redis_is_set_up_by_its_config_map(kubectl: Runner) -> None:
    asked = kubectl("exec", "redis", "--", "redis-cli", "CONFIG", "GET", "maxmemory")
    assert asked == "maxmemory\n2097152\n"
    kubectl("exec", "redis", "--", "redis-cli", "HSET", "user:1", "name", "bob")
    assert kubectl("exec", "redis", "--", "redis-cli", "--no-raw", "HGETALL", "user:1") == '1) "name"\n2) "bob"\n'


def test_an_address_of_a_pod_seen_from_inside(kubectl: Runner) -> None:
    ip = kubectl("get", "pod", "box", "-o", "jsonpath={.status.podIP}")
    assert f"inet {ip}/24" in kubectl("exec", "box", "--", "ip", "addr", "show", "eth0")
    assert f"inet addr:{ip}" in kubectl("exec", "box", "--", "ifconfig", "eth0")
