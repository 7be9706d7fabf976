"""kopf runs an operator (``operator.py``) against a simulated cluster: finalizers, events, status and ownership."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.conftest import with_home
from tests.world.conftest import HERE, Place, client

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: pages.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Page, plural: pages, singular: page}
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              required: [text]
              properties:
                text: {type: string}
                replicas: {type: integer, minimum: 1, default: 1}
            status: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""
PAGE = """
apiVersion: example.com/v1
kind: Page
metadata: {name: home}
spec: {text: hello, replicas: 2}
"""


@pytest.fixture
def operating(place: Place) -> Iterator[Path]:
    """The operator's log; it runs for the test."""
    client("kopf")
    place.kubectl("apply", "-f", "-", given=DEFINITION)
    place.kubectl("wait", "--for=condition=Established", "crd/pages.example.com", "--timeout=30s")
    log = place.kubeconfig.parent / "operator.log"
    words = [sys.executable, "-m", "kopf", "run", str(HERE / "operator.py"), "--namespace", place.namespace]
    environment = {**with_home(place.kubeconfig), "PATH": os.environ["PATH"]}
    with log.open("w") as file:
        running = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, env=environment)
        yield log
        running.terminate()
        running.wait(20)


def until(operating: Path, holds: Callable[[], bool], seconds: float = 40) -> None:
    """Look again until it holds; the operator's log says why it did not."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, operating.read_text()
        time.sleep(0.2)  # between two looks at what another process does


def test_an_operator_makes_keeps_and_cleans_up(place: Place, operating: Path) -> None:
    kubectl = place.kubectl

    def told(*words: str) -> str:
        return kubectl("get", *words, "--ignore-not-found")

    kubectl("apply", "-f", "-", given=PAGE)
    until(operating, lambda: told("page", "home", "-o", "jsonpath={.status.create.published}") == "hello")
    kubectl("rollout", "status", "deployment/home", "--timeout=30s")
    assert "kopf" in told("page", "home", "-o", "jsonpath={.metadata.finalizers}")
    until(operating, lambda: "Published" in told("events", "-o", "jsonpath={.items[*].reason}"))
    kubectl("patch", "page", "home", "--type=merge", "-p", '{"spec": {"text": "goodbye"}}')
    until(operating, lambda: told("configmap", "home", "-o", "jsonpath={.data.text}") == "goodbye")
    kubectl("delete", "page", "home", "--timeout=30s")
    assert told("configmap", "home-was-here", "-o", "name") == "configmap/home-was-here\n"
    until(operating, lambda: told("deployments", "-o", "name") + told("configmap", "home", "-o", "name") == "")
