"""Stateful sets, daemon sets, replication controllers, templates: defaults, refusals, what may change."""

from __future__ import annotations

import pytest

from tests.unit.simkube.apiserver.kinds.conftest import ME, template, workload


def test_a_stateful_set_gets_its_defaults(make) -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    made = make("statefulsets.apps", workload(serviceName="db", volumeClaimTemplates=[claim]))
    spec = made["spec"]
    assert (spec["replicas"], spec["podManagementPolicy"], spec["revisionHistoryLimit"]) == (1, "OrderedReady", 10)
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert spec["volumeClaimTemplates"][0] | {"spec": {}} == {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "metadata": {"name": "data"},
        "spec": {},
        "status": {"phase": "Pending"},
    }
    assert made["status"] == {"replicas": 0, "availableReplicas": 0}
    assert made["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"podManagementPolicy": "Any"}, "must be 'OrderedReady' or 'Parallel'"),
        (
            {"updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}},
            "only allowed for updateStrategy 'RollingUpdate'",
        ),
        ({"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}}}, "maxUnavailable: Invalid value: 0: cannot be 0"),
        ({"serviceName": "a.b"}, 'spec.serviceName: Invalid value: "a.b": must not contain dots'),
        ({"ordinals": {"start": -1}}, "spec.ordinals.start: Invalid value: -1"),
        ({"selector": {}}, "empty selector is invalid for statefulset"),
        ({"template": template(restartPolicy="Never")}, 'Unsupported value: "Never": supported values: "Always"'),
        (
            {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Keep"}},
            'persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "Keep": supported values: "Retain", '
            '"Delete"',
        ),
    ],
)
def test_a_stateful_set_is_refused(refuse, spec, message) -> None:
    assert message in refuse("statefulsets.apps", workload(**spec))


def test_a_claim_template_is_a_volume_of_the_pods(make, refuse) -> None:
    pod = template()
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    assert refuse("statefulsets.apps", workload(template=pod)).endswith('volumeMounts[0].name: Not found: "data"')
    assert make("statefulsets.apps", workload(template=pod, volumeClaimTemplates=[claim]))


def test_most_of_a_stateful_set_never_changes(make, change) -> None:
    make("statefulsets.apps", workload(serviceName="db"))
    assert "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template'" in change(
        "statefulsets.apps", {"spec": {"serviceName": "other"}}
    )
    assert change("statefulsets.apps", {"spec": {"replicas": 3, "minReadySeconds": 5}}) == ""


def test_a_daemon_sets_template_is_counted_in_an_annotation(make, change, server) -> None:
    made = make("daemonsets.apps", workload())
    key = "deprecated.daemonset.template.generation"
    assert made["metadata"]["annotations"] == {key: "1"}
    assert made["spec"]["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}
    assert made["status"]["desiredNumberScheduled"] == 0
    change("daemonsets.apps", {"spec": {"minReadySeconds": 1}, "metadata": {"annotations": {key: "7"}}})
    assert server.get(ME, "daemonsets.apps", "web", "default")["metadata"]["annotations"][key] == "1"
    change("daemonsets.apps", {"spec": {"template": {"spec": {"hostNetwork": True}}}})
    now = server.get(ME, "daemonsets.apps", "web", "default")["metadata"]
    assert (now["annotations"][key], now["generation"]) == ("2", 3)


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"maxUnavailable": 1, "maxSurge": 1}, "maxSurge: Invalid value: 1: may not be set when maxUnavailable is"),
        ({"maxUnavailable": 0, "maxSurge": "0%"}, "maxUnavailable: Required value: cannot be 0 when maxSurge is 0"),
        ({"maxUnavailable": "101%"}, 'Invalid value: "101%": must not be greater than 100%'),
        ({"maxUnavailable": "some"}, "a valid percent string must be a numeric string followed by an ending '%'"),
    ],
)
def test_how_a_daemon_set_may_roll(refuse, update, message) -> None:
    assert message in refuse("daemonsets.apps", workload(updateStrategy={"rollingUpdate": update}))


def test_a_replication_controller_takes_after_its_template(make, refuse) -> None:
    made = make("replicationcontrollers", {"template": template()})
    assert made["spec"]["selector"] == made["metadata"]["labels"] == {"app": "web"}
    assert made["spec"]["replicas"] == 1
    assert refuse("replicationcontrollers", {}, name="b") == (
        "[spec.selector: Required value, spec.template: Required value]"
    )
    assert "`selector` does not match template `labels`" in refuse(
        "replicationcontrollers", {"selector": {"app": "b"}, "template": template()}, name="b"
    )


def test_deleting_jobs_and_replication_controllers_leaves_their_pods(make, server) -> None:
    make("replicationcontrollers", {"template": template()})
    kept = server.delete(ME, "replicationcontrollers", "web", "default")
    assert kept["metadata"]["finalizers"] == ["orphan"]
    make("replicationcontrollers", {"template": template()}, name="b")
    gone = server.delete(ME, "replicationcontrollers", "b", "default", options={"propagationPolicy": "Background"})
    assert gone["status"] == "Success"


def test_a_stored_template_is_checked_as_others(make, refuse) -> None:
    made = make("podtemplates", template=template())
    assert made["template"]["spec"]["restartPolicy"] == "Always"
    assert refuse("podtemplates", template={"spec": {}}, name="b") == "template.spec.containers: Required value"


def test_a_status_does_not_contradict_itself(make, change) -> None:
    make("statefulsets.apps", workload())
    found = change("statefulsets.apps", {"status": {"replicas": 1, "readyReplicas": 2}}, subresource="status")
    assert found == "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"
