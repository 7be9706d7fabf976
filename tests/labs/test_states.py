"""Every state of every lab gets the verdicts it should, on simulated clusters; on real ones by its proof."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labs import settings
from labs.clusters.provider import Provider
from labs.clusters.registry import Providers
from labs.definition import State, Step
from labs.grading import ProcessGrader
from labs.library import Library
from labs.replay import Replay, choose
from tests.conftest import NEED_THREE_NODES, SharedClusters, shared_start, usable

SETTINGS = settings.load({"KINDLING_HOME": os.devnull, "PATH": os.environ["PATH"]})
LIBRARY = Library(SETTINGS.catalogs)
WEB = "kindling/web:1.0"
STATES = [(lab.name, state.name) for lab in LIBRARY.all() for state in lab.states]


def test_every_lab_is_here_with_enough_states() -> None:
    for lab in LIBRARY.all():
        names = [state.name for state in lab.states]
        assert names.count("solved") == 1, lab.name
        assert sum(name.startswith("alternative-") for name in names) >= 2, lab.name
        assert sum(name.startswith("broken-") for name in names) >= 5, lab.name
    assert {lab.name for lab in LIBRARY.all()} == {"pods", "services", "scaling", "self-healing"}
    wanted = {start + lab.name for lab in LIBRARY.all() if lab.topology == "three-node" for start in "[-"}
    assert wanted == {one for one in NEED_THREE_NODES if not one.startswith("/")}


@pytest.fixture
def provider(providers: Providers) -> Provider:
    """The simulated one."""
    return usable(providers, "simulated")


@pytest.mark.parametrize(("lab_name", "state_name"), STATES)
def test_state(
    provider: Provider, grader: ProcessGrader, clusters: SharedClusters, tmp_path: Path, lab_name: str, state_name: str
) -> None:
    lab = LIBRARY.get(lab_name)
    (state,) = choose(lab, state_name)
    replay = Replay(provider, grader, SETTINGS.kubectl, tmp_path)

    result = replay.prove(lab, state, shared_start(clusters, provider, lab))

    assert not result.trouble
    assert not result.differences


SIDECAR = """\
apiVersion: v1
kind: Pod
metadata:
  name: ${pair}
spec:
  volumes: [{name: pages, emptyDir: {}}]
  initContainers:
    - name: writer
      image: busybox:1.35
      restartPolicy: Always
      command: [sh, -c]
      args: ['while true; do echo "${word} $(date +%s)" > /pages/index.html; sleep 1; done']
      volumeMounts: [{name: pages, mountPath: /pages}]
  containers:
    - name: server
      image: kindling/web:1.0
      env: [{name: WEB_ROOT, value: /pages}]
      volumeMounts: [{name: pages, mountPath: /pages, readOnly: true}]
"""


def test_a_native_sidecar_solves_pods(
    provider: Provider, grader: ProcessGrader, clusters: SharedClusters, tmp_path: Path
) -> None:
    """Not a state of the lab, which is for older clusters too: these drop the field and wait for the writer to end."""
    lab = LIBRARY.get("pods")
    (tmp_path / "pair.yaml").write_text(SIDECAR)
    (solved,) = choose(lab, "solved")
    commands = [f"set image pod/${{courier}} web={WEB}", f"run ${{pod}} --image={WEB} --env MESSAGE='${{message}}'"]
    steps = [*(Step(kubectl=one) for one in commands), Step(apply="pair.yaml")]
    file = solved.file.model_copy(update={"steps": steps})
    state = State("alternative-sidecar", tmp_path, file)
    replay = Replay(provider, grader, SETTINGS.kubectl, tmp_path)

    result = replay.prove(lab, state, shared_start(clusters, provider, lab))

    assert not result.trouble
    assert set(result.outcomes.values()) == {"passed"}
