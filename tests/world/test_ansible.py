"""Ansible's collection kubernetes.core: a playbook (``playbook.yaml``) makes, changes, asks and removes."""

from __future__ import annotations

import json
import sys

from tests.world.conftest import HERE, WORLD, Place, client, program


def test_a_playbook_finds_a_cluster_as_it_should_be(place: Place) -> None:
    client("kubernetes")
    folder = program("ansible")
    words = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", HERE / "playbook.yaml"]
    given = {"namespace": place.namespace, "ansible_python_interpreter": sys.executable}
    environment = {
        "PYTHONPATH": str(folder),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
        "ANSIBLE_HOME": str(place.kubeconfig.parent / "ansible"),
        "K8S_AUTH_KUBECONFIG": str(place.kubeconfig),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{WORLD}:{sys.prefix}/bin:/usr/bin:/bin",
    }
    told = place.succeeds(*words, "-e", json.dumps(given), env=environment, seconds=120)
    assert "failed=0" in told
    assert "unreachable=0" in told
