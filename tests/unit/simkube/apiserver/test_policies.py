"""What holds a namespace's pods to its administrator's wishes: quotas, limit ranges, priority classes, pod security."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkube.apimachinery import quantity
from simkube.apimachinery.errors import StatusError
from simkube.apiserver.admission import pod_security
from simkube.apiserver.admission.pod_security import Level, policy_of
from simkube.apiserver.registry.kinds import RESOURCES
from simkube.apiserver.registry.request import Request, options_of
from simkube.apiserver.server import APIServer
from simkube.client.client import Caller
from simkube.clock.clock import Clock
from simkube.component_helpers import quota_usage as usage
from simkube.etcd.journal import Journal
from simkube.etcd.store import Store

ADMIN = Caller("learner", ("system:masters",), "tester")


@pytest.fixture
def server() -> APIServer:
    made = APIServer(Store(Journal(), "c"), Clock(1_700_000_000.0))
    made.seed()
    made.create(ADMIN, "namespaces", {"metadata": {"name": "default"}})
    made.create(ADMIN, "serviceaccounts", {"metadata": {"name": "default"}}, "default")
    return made


def pod(name: str = "web", resources: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "a", "image": "a:1"}
    if resources:
        container["resources"] = resources
    return {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}


def refused(call: Any, *args: Any, **kwargs: Any) -> StatusError:
    with pytest.raises(StatusError) as caught:
        call(*args, **kwargs)
    return caught.value


def quota(server: APIServer, hard: dict[str, str], used: dict[str, str] | None = None, **spec: Any) -> None:
    made = server.create(
        ADMIN, "resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": hard, **spec}}, "default"
    )
    status = {"hard": hard, "used": used if used is not None else dict.fromkeys(hard, "0")}
    body = {**made, "metadata": dict(made["metadata"]), "status": status}
    server.update(ADMIN, "resourcequotas", body, subresource="status")


def used(server: APIServer) -> dict[str, str]:
    found: dict[str, str] = server.get(ADMIN, "resourcequotas", "q", "default")["status"]["used"]
    return found


# quotas


def test_a_pod_is_counted_as_it_is_created(server: APIServer) -> None:
    quota(server, {"pods": "2", "requests.cpu": "1", "limits.memory": "1Gi"})
    given = {"requests": {"cpu": "600m"}, "limits": {"memory": "128Mi"}}
    server.create(ADMIN, "pods", pod("a", given), "default")
    assert used(server) == {"limits.memory": "128Mi", "pods": "1", "requests.cpu": "600m"}
    assert refused(server.create, ADMIN, "pods", pod("b", given), "default").message == (
        'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, '
        "limited: requests.cpu=1"
    )
    assert used(server)["pods"] == "1"


def test_a_dry_run_counts_nothing(server: APIServer) -> None:
    quota(server, {"pods": "1"})
    server.create(ADMIN, "pods", pod(), "default", options={"dryRun": ["All"]})
    assert used(server) == {"pods": "0"}


def test_what_is_not_created_is_not_counted(server: APIServer) -> None:
    quota(server, {"count/configmaps": "5"})
    server.create(ADMIN, "configmaps", {"metadata": {"name": "a"}}, "default")
    assert refused(server.create, ADMIN, "configmaps", {"metadata": {"name": "a"}}, "default").reason == "AlreadyExists"
    assert used(server) == {"count/configmaps": "1"}


def test_a_quota_on_compute_makes_it_compulsory(server: APIServer) -> None:
    quota(server, {"requests.cpu": "1", "limits.memory": "1Gi"})
    assert refused(server.create, ADMIN, "pods", pod(), "default").message == (
        'pods "web" is forbidden: failed quota: q: must specify limits.memory for: a; requests.cpu for: a'
    )


def test_a_quota_nobody_has_counted_refuses(server: APIServer) -> None:
    quota(server, {"pods": "1"}, used={})
    assert (
        "status unknown for quota: q, resources: pods"
        in refused(server.create, ADMIN, "pods", pod(), "default").message
    )


def test_a_changed_service_is_counted_by_the_difference(server: APIServer) -> None:
    quota(server, {"services": "2", "services.nodeports": "1"})
    body = {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
    server.create(ADMIN, "services", body, "default")
    assert used(server) == {"services": "1", "services.nodeports": "0"}
    server.patch(ADMIN, "services", "a", {"spec": {"type": "NodePort"}}, "default")
    assert used(server) == {"services": "1", "services.nodeports": "1"}
    second = {"metadata": {"name": "b"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    assert "exceeded quota" in refused(server.create, ADMIN, "services", second, "default").message


@pytest.mark.parametrize(
    ("scope", "body", "counts"),
    [
        ("BestEffort", pod(), True),
        ("BestEffort", pod(resources={"requests": {"cpu": "1"}}), False),
        ("NotBestEffort", pod(resources={"requests": {"cpu": "1"}}), True),
        ("Terminating", pod(activeDeadlineSeconds=5), True),
        ("NotTerminating", pod(activeDeadlineSeconds=5), False),
    ],
)
def test_scopes_choose_pods(server: APIServer, scope: str, body: dict[str, Any], counts: bool) -> None:
    quota(server, {"pods": "5"}, scopes=[scope])
    server.create(ADMIN, "pods", body, "default")
    assert used(server)["pods"] == ("1" if counts else "0")


def test_scope_selectors_choose_by_priority_class(server: APIServer) -> None:
    server.create(ADMIN, "priorityclasses.scheduling.k8s.io", {"metadata": {"name": "high"}, "value": 10})
    term = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
    quota(server, {"pods": "1"}, scopeSelector={"matchExpressions": [term]})
    server.create(ADMIN, "pods", pod("a"), "default")
    assert used(server)["pods"] == "0"
    server.create(ADMIN, "pods", pod("b", priorityClassName="high"), "default")
    assert "exceeded" in refused(server.create, ADMIN, "pods", pod("c", priorityClassName="high"), "default").message


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"hard": {"bananas": "1"}}, "must be a standard resource for quota"),
        ({"hard": {"pods": "-1"}}, "must be greater than or equal to 0"),
        ({"hard": {"pods": "1500m"}}, "must be an integer"),
        ({"hard": {"pods": "1"}, "scopes": ["Odd"]}, "unsupported scope"),
        ({"hard": {"services": "1"}, "scopes": ["BestEffort"]}, "unsupported scope applied to resource"),
        ({"hard": {"pods": "1"}, "scopes": ["Terminating", "NotTerminating"]}, "conflicting scopes"),
        (
            {
                "hard": {"pods": "1"},
                "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]},
            },
            "must be at least one value",
        ),
    ],
)
def test_quotas_are_validated(server: APIServer, spec: dict[str, Any], words: str) -> None:
    body = {"metadata": {"name": "q"}, "spec": spec}
    assert words in refused(server.create, ADMIN, "resourcequotas", body, "default").message


def test_init_containers_count_when_they_need_more() -> None:
    def cpu(name: str, amount: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "resources": {"requests": {"cpu": amount}}, **more}

    spec = {
        "containers": [cpu("a", "100m"), cpu("b", "200m")],
        "initContainers": [cpu("side", "50m", restartPolicy="Always"), cpu("heavy", "1")],
    }
    assert usage.pod_resources(spec) == ({"cpu": "1050m"}, {})
    spec["initContainers"] = [cpu("light", "10m")]
    assert usage.pod_resources(spec)[0] == {"cpu": "300m"}


@given(st.lists(st.sampled_from(["1", "100m", "0", "64Mi", "1Gi", "5", "2500m"]), max_size=8))
def test_sums_of_quantities_are_exact(amounts: list[str]) -> None:
    total = "0"
    for amount in amounts:
        total = quantity.add(total, amount)
    assert quantity.parse(total) == sum(quantity.parse(amount) for amount in amounts)
    for amount in amounts:
        total = quantity.subtract(total, amount)
    assert quantity.parse(total) == 0


# limit ranges


def ranged(server: APIServer, **item: Any) -> None:
    body = {"metadata": {"name": "sizes"}, "spec": {"limits": [{"type": "Container", **item}]}}
    server.create(ADMIN, "limitranges", body, "default")


def test_ranges_fill_in_and_say_so(server: APIServer) -> None:
    ranged(server, default={"cpu": "200m"}, defaultRequest={"cpu": "100m"})
    made = server.create(ADMIN, "pods", pod(), "default")
    assert made["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "200m"}, "requests": {"cpu": "100m"}}
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu request for container a; cpu limit for container a"
    )


@pytest.mark.parametrize(
    ("item", "resources", "words"),
    [
        (
            {"min": {"cpu": "50m"}},
            {"requests": {"cpu": "10m"}},
            "minimum cpu usage per Container is 50m, but request is 10m",
        ),
        ({"min": {"memory": "1Mi"}}, {"limits": {"memory": "1Ki"}}, "but request is 1Ki"),
        ({"max": {"cpu": "1"}}, {"limits": {"cpu": "2"}}, "maximum cpu usage per Container is 1, but limit is 2"),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {"requests": {"cpu": "1"}, "limits": {"cpu": "5"}},
            "provided ratio is 5.000000",
        ),
        ({"maxLimitRequestRatio": {"cpu": "2"}}, {}, "no request is specified or request is 0"),
    ],
)
def test_ranges_refuse(server: APIServer, item: dict[str, Any], resources: dict[str, Any], words: str) -> None:
    ranged(server, **item)
    assert words in refused(server.create, ADMIN, "pods", pod(resources=resources), "default").message


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}}, "min value 2 is greater than max value 1"),
        ({"type": "Pod", "default": {"cpu": "1"}}, "may not be specified when `type` is 'Pod'"),
        ({"type": "PersistentVolumeClaim"}, "either minimum or maximum storage value is required"),
        ({"type": "Container", "maxLimitRequestRatio": {"cpu": "500m"}}, "is less than 1"),
        ({"type": "Robot", "max": {"cpu": "1"}}, "must be a standard limit type or fully qualified"),
    ],
)
def test_ranges_are_validated(server: APIServer, item: dict[str, Any], words: str) -> None:
    body = {"metadata": {"name": "bad"}, "spec": {"limits": [item]}}
    assert words in refused(server.create, ADMIN, "limitranges", body, "default").message


# priority classes


def test_a_pod_has_the_priority_of_its_class_or_of_the_default(server: APIServer) -> None:
    classes = "priorityclasses.scheduling.k8s.io"
    assert server.create(ADMIN, "pods", pod("a"), "default")["spec"]["priority"] == 0
    default = {"metadata": {"name": "usual"}, "value": 5, "globalDefault": True, "preemptionPolicy": "Never"}
    server.create(ADMIN, classes, default)
    made = server.create(ADMIN, "pods", pod("b"), "default")["spec"]
    assert (made["priority"], made["priorityClassName"], made["preemptionPolicy"]) == (5, "usual", "Never")
    critical = server.create(ADMIN, "pods", pod("c", priorityClassName="system-node-critical"), "default")
    assert critical["spec"]["priority"] == 2000001000
    assert (
        "no PriorityClass with name x was found"
        in refused(server.create, ADMIN, "pods", pod("d", priorityClassName="x"), "default").message
    )
    assert (
        "must not be provided in pod spec"
        in refused(server.create, ADMIN, "pods", pod("d", priority=7), "default").message
    )
    second = {"metadata": {"name": "other"}, "value": 1, "globalDefault": True}
    assert "usual is already marked as default" in refused(server.create, ADMIN, classes, second).message
    assert "cannot be deleted" in refused(server.delete, ADMIN, classes, "system-node-critical").message


# pod security

SAFE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def violated(level: str, spec: dict[str, Any], version: str = "latest", **meta: Any) -> list[str]:
    return [f"{reason} ({detail})" for reason, detail in pod_security.violations(Level(level, version), meta, spec)]


def contained(context: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "a", "securityContext": context, **more}]}


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        (contained({"privileged": True}), 'privileged (container "a" must not set securityContext.privileged=true)'),
        ({"hostPID": True, "containers": []}, "host namespaces (hostPID=true)"),
        ({"volumes": [{"name": "r", "hostPath": {}}], "containers": []}, 'hostPath volumes (volume "r")'),
        (contained({}, ports=[{"hostPort": 80}]), 'hostPort (container "a" uses hostPort 80)'),
        (
            contained({"procMount": "Unmasked"}),
            'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
        ),
        (
            contained({"seccompProfile": {"type": "Unconfined"}}),
            'seccompProfile (container "a" must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        (
            contained({"seLinuxOptions": {"type": "x", "user": "u"}}),
            'seLinuxOptions (container "a" set forbidden securityContext.seLinuxOptions: type "x"; '
            "user may not be set)",
        ),
        ({"securityContext": {"sysctls": [{"name": "kernel.x"}]}, "containers": []}, "forbidden sysctls (kernel.x)"),
        (
            contained({"windowsOptions": {"hostProcess": True}}),
            'hostProcess (container "a" must not set securityContext.windowsOptions.hostProcess=true)',
        ),
        (
            contained({"appArmorProfile": {"type": "Unconfined"}}),
            'forbidden AppArmor profile (container "a" must not set AppArmor profile type to "Unconfined")',
        ),
        (
            contained({}, livenessProbe={"httpGet": {"host": "10.0.0.1"}}),
            'probe or lifecycle host (container "a" uses probe or lifecycle host "10.0.0.1")',
        ),
    ],
)
def test_baseline_names_what_it_forbids(spec: dict[str, Any], wanted: str) -> None:
    assert violated("baseline", spec) == [wanted]
    assert violated("privileged", spec) == []


def test_restricted_wants_everything_said() -> None:
    assert violated("restricted", contained(SAFE)) == []
    assert violated("restricted", contained({})) == [
        'allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false)',
        'unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"])',
        'runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true)',
        'seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
        '"Localhost")',
    ]
    root = contained({**SAFE, "runAsUser": 0})
    assert violated("restricted", root) == ['runAsUser=0 (container "a" must not set runAsUser=0)']
    mounted = {**contained(SAFE), "volumes": [{"name": "n", "nfs": {}}]}
    assert violated("restricted", mounted) == ['restricted volume types (volume "n" uses restricted volume type "nfs")']


def test_versions_and_windows_relax() -> None:
    assert violated("restricted", contained({**SAFE, "runAsUser": 0}), "v1.22") == []
    assert violated("restricted", contained({"runAsNonRoot": True}), "v1.7") == []
    windows = {**contained({"runAsNonRoot": True}), "os": {"name": "windows"}}
    assert violated("restricted", windows) == []
    old = violated("baseline", contained({}), "v1.18", annotations={"seccomp.security.alpha.kubernetes.io/pod": "x"})
    assert old == ['seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="x")']


def test_labels_become_a_policy() -> None:
    prefix = "pod-security.kubernetes.io/"
    found = policy_of({f"{prefix}enforce": "baseline", f"{prefix}enforce-version": "v1.25", f"{prefix}warn": "odd"})
    assert (str(found.enforce), str(found.warn)) == ("baseline:v1.25", "privileged:latest")
    assert str(policy_of({f"{prefix}enforce": "odd"}).enforce) == "restricted:latest"


def labelled(server: APIServer, **labels: str) -> Request:
    request = Request(ADMIN, "patch", RESOURCES["namespaces"], "", "default", options=options_of("patch", {}))
    given = {f"pod-security.kubernetes.io/{mode}": level for mode, level in labels.items()}
    server.do_patch(request, {"metadata": {"labels": given}}, "merge")
    return request


def test_a_stricter_label_warns_of_what_is_there(server: APIServer) -> None:
    for name in ("b", "a"):
        server.create(ADMIN, "pods", pod(name), "default")
    assert labelled(server, enforce="restricted").warnings == [
        'existing pods in namespace "default" violate the new PodSecurity enforce level "restricted:latest"',
        "a (and 1 other pod): allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, "
        "seccompProfile",
    ]
    assert "violates PodSecurity" in refused(server.create, ADMIN, "pods", pod("c"), "default").message
    server.patch(ADMIN, "pods", "a", {"metadata": {"labels": {"x": "y"}}}, "default")
    image = {"spec": {"containers": [{"name": "a", "image": "a:2"}]}}
    assert refused(server.patch, ADMIN, "pods", "a", image, "default", type="strategic").code == 403


def test_audit_and_warn_only_tell(server: APIServer) -> None:
    labelled(server, audit="restricted", warn="baseline")
    request = Request(ADMIN, "create", RESOURCES["pods"], "default")
    body = pod()
    body["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    server.do_create(request, body)
    assert len(request.warnings) == 1
    assert request.warnings[0].startswith('would violate PodSecurity "baseline:latest": privileged')
    note = request.notes["pod-security.kubernetes.io/audit-violations"]
    assert note.startswith('would violate PodSecurity "restricted:latest"')


def test_labels_that_mean_nothing_are_refused(server: APIServer) -> None:
    error = refused(labelled, server, enforce="strict", **{"warn-version": "1.2"})
    assert error.code == 422
    assert "must be one of privileged, baseline, restricted" in error.message
    assert 'must be "latest" or "v1.x"' in error.message
