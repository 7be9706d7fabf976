"""What may change in a pod that runs: ephemeral containers, resources; and who sees whose processes."""

from __future__ import annotations

from typing import Any

from tests.doubles.whole_cluster import ME, WholeCluster

WEB = {"name": "web", "image": "nginx:1.29"}


def sized(cpu: str, memory: str = "64Mi", **more: Any) -> dict[str, Any]:
    amounts = {"cpu": cpu, "memory": memory}
    return {**WEB, "resources": {"requests": amounts, "limits": amounts}, **more}


def test_an_ephemeral_container_looks_at_its_target(lab: WholeCluster) -> None:
    lab.run(WEB)
    debugger = {"name": "debugger", "image": "busybox:1.36", "targetContainerName": "web", "stdin": True, "tty": True}
    lab.change("ephemeralcontainers", {"ephemeralContainers": [debugger]})
    status = lab.pod()["status"]
    assert "running" in status["ephemeralContainerStatuses"][0]["state"]
    assert status["phase"] == "Running"
    seen = lab.exec("debugger", "ps")
    assert "nginx" in seen
    assert "sh" in seen
    assert "nginx" in lab.exec("debugger", "ls", "/proc/1/root/etc")
    lab.exec("debugger", "kill", "-QUIT", "1")
    lab.cluster.advance(4)
    assert lab.pod()["status"]["containerStatuses"][0]["restartCount"] == 1
    assert "terminated" in lab.pod()["status"]["ephemeralContainerStatuses"][0]["state"], "its process numbers went"


def test_an_ephemeral_container_is_not_started_again(lab: WholeCluster) -> None:
    lab.run(WEB)
    once = {"name": "once", "image": "busybox:1.36", "command": ["sh", "-c", "exit 3"]}
    lab.change("ephemeralcontainers", {"ephemeralContainers": [once]})
    lab.cluster.advance(60)
    found = lab.pod()["status"]["ephemeralContainerStatuses"][0]
    assert (found["state"]["terminated"]["exitCode"], found["restartCount"]) == (3, 0)
    assert lab.pod()["status"]["containerStatuses"][0]["ready"]


def test_containers_that_share_their_processes(lab: WholeCluster) -> None:
    shell = {"name": "shell", "image": "busybox:1.36", "command": ["sleep", "1d"]}
    lab.run(WEB, shell, shareProcessNamespace=True)
    seen = lab.exec("shell", "ps")
    assert "1 65535" in seen
    assert "/pause" in seen
    assert "nginx -g" in seen
    lab.exec("shell", "killall", "nginx")
    lab.run(WEB, shell, name="apart")
    assert "nginx" not in lab.exec("shell", "ps", name="apart")


def test_a_running_container_gets_other_limits_without_a_restart(lab: WholeCluster) -> None:
    lab.run(sized("100m"))
    lab.change("resize", {"containers": [{"name": "web", "resources": sized("200m", "128Mi")["resources"]}]})
    found = lab.pod()["status"]["containerStatuses"][0]
    assert found["restartCount"] == 0
    assert found["allocatedResources"] == {"cpu": "200m", "memory": "128Mi"}
    assert found["resources"]["limits"] == {"cpu": "200m", "memory": "128Mi"}


def test_a_container_that_asks_for_it_is_restarted_to_be_resized(lab: WholeCluster) -> None:
    lab.run(sized("100m", resizePolicy=[{"resourceName": "memory", "restartPolicy": "RestartContainer"}]))
    lab.change("resize", {"containers": [{"name": "web", "resources": sized("200m")["resources"]}]})
    assert lab.pod()["status"]["containerStatuses"][0]["restartCount"] == 0
    lab.change("resize", {"containers": [{"name": "web", "resources": sized("200m", "96Mi")["resources"]}]})
    lab.cluster.advance(5)
    found = lab.pod()["status"]["containerStatuses"][0]
    assert (found["restartCount"], found["resources"]["limits"]["memory"]) == (1, "96Mi")


def test_what_a_node_cannot_grant_is_infeasible_or_deferred(lab: WholeCluster) -> None:
    lab.run(sized("2"))
    lab.run(sized("500m"), name="small")
    lab.change("resize", {"containers": [{"name": "web", "resources": sized("9")["resources"]}]})
    assert lab.condition("PodResizePending")["reason"] == "Infeasible"
    lab.change("resize", {"containers": [{"name": "web", "resources": sized("3")["resources"]}]})
    pending = lab.condition("PodResizePending")
    assert (pending["reason"], pending["status"]) == ("Deferred", "True")
    assert lab.pod()["status"]["containerStatuses"][0]["allocatedResources"]["cpu"] == "2"
    lab.cluster.apiserver.delete(ME, "pods", "small", "default", options={"gracePeriodSeconds": 0})
    lab.cluster.advance(5)
    assert lab.condition("PodResizePending") == {}
    assert lab.pod()["status"]["containerStatuses"][0]["allocatedResources"]["cpu"] == "3"
