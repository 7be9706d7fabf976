"""Pods: what is refused in a spec, what may change and through which subresource, what is only warned of."""

from __future__ import annotations

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.registry.core import component_statuses
from simkube.apiserver.registry.pods.internal_types import difference, printed
from tests.unit.simkube.apiserver.kinds.conftest import ME, template, workload


def pod(**spec):
    return {"containers": [{"name": "web", "image": "nginx:1"}], **spec}


def with_container(**fields):
    return pod(containers=[{"name": "web", "image": "nginx:1", **fields}])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"dnsPolicy": "None"}, "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
        (
            {"dnsConfig": {"nameservers": ["x"]}},
            'spec.dnsConfig.nameservers[0]: Invalid value: "x": must be a valid IP',
        ),
        ({"dnsConfig": {"options": [{"value": "1"}]}}, "spec.dnsConfig.options[0]: Required value: must not be empty"),
        ({"hostAliases": [{"ip": "1", "hostnames": ["a"]}]}, "spec.hostAliases[0].ip: Invalid value"),
        ({"securityContext": {"runAsUser": -1}}, "runAsUser: Invalid value: -1: must be between 0 and 2147483647"),
        ({"securityContext": {"seccompProfile": {"type": "Localhost"}}}, "must be set when seccomp type is Localhost"),
        ({"securityContext": {"sysctls": [{"name": "A b"}]}}, "must have at most 253 characters and match regex"),
        ({"hostPID": True, "shareProcessNamespace": True}, "ShareProcessNamespace and HostPID cannot both be enabled"),
        ({"schedulingGates": [{"name": "a"}, {"name": "a"}]}, 'spec.schedulingGates[1]: Duplicate value: "a"'),
        (
            {"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "Maybe"}]},
            "[0].maxSkew: Invalid value: 0: must be greater than zero, spec.topologySpreadConstraints[0]"
            '.whenUnsatisfiable: Unsupported value: "Maybe": supported values: "DoNotSchedule", "ScheduleAnyway"',
        ),
        (
            {
                "affinity": {
                    "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}
                }
            },
            "must have at least one node selector term",
        ),
        (
            {
                "affinity": {
                    "podAntiAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {"weight": 101, "podAffinityTerm": {"topologyKey": "zone"}}
                        ]
                    }
                }
            },
            "weight: Invalid value: 101: must be in the range 1-100",
        ),
        (
            {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
            '{"Key":"a","Operator":"Exists","Value":"b","Effect":"","TolerationSeconds":null}: value must be empty',
        ),
        ({"activeDeadlineSeconds": 0}, "must be between 1 and 2147483647, inclusive"),
        ({"preemptionPolicy": "Maybe"}, "the string value of PreemptionPolicy (Maybe) must not be provided"),
    ],
)
def test_a_pod_is_refused(refuse, spec, message) -> None:
    assert message in refuse("pods", pod(**spec))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image": " nginx"}, "must not have leading or trailing whitespace"),
        ({"readinessProbe": {"exec": {"command": ["a"]}, "terminationGracePeriodSeconds": 5}}, "for readinessProbes"),
        ({"livenessProbe": {"httpGet": {"port": 80, "httpHeaders": [{"name": "a b"}]}}}, "a valid HTTP header must"),
        ({"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}}, "less than terminationGracePeriodSeconds (30)"),
        ({"resources": {"requests": {"example.com/gpu": "1"}}}, "Limit must be set for non overcommitable resources"),
        ({"resources": {"limits": {"example.com/gpu": "500m"}}}, "must be an integer"),
        ({"securityContext": {"allowPrivilegeEscalation": False, "privileged": True}}, "`privileged` to true"),
        ({"volumeDevices": [{"name": "a", "devicePath": "/dev/a"}]}, 'volumeDevices[0].name: Not found: "a"'),
        ({"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "Maybe"}]}, '"NotRequired", "RestartContainer"'),
        ({"terminationMessagePolicy": "Log"}, 'supported values: "File", "FallbackToLogsOnError"'),
        ({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "A", "key": "a b"}}}]}, "a valid config key"),
    ],
)
def test_a_container_is_refused(refuse, fields, message) -> None:
    assert message in refuse("pods", with_container(**fields))


def test_a_port_of_the_host_is_had_once(refuse) -> None:
    ports = [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81, "hostPort": 8080}]
    assert refuse("pods", with_container(ports=ports)) == (
        'spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//8080"'
    )


def test_only_templates_may_leave_ports_of_the_host_open(make, refuse) -> None:
    spec = with_container(ports=[{"containerPort": 80, "hostPort": 8080}]) | {"hostNetwork": True}
    assert "must match `containerPort` when `hostNetwork` is true" in refuse("pods", spec)
    assert make("deployments.apps", workload(template=template(hostNetwork=True)))


def test_a_negative_grace_is_a_second(make) -> None:
    assert make("pods", pod(terminationGracePeriodSeconds=-5))["spec"]["terminationGracePeriodSeconds"] == 1


# changes


def test_a_forbidden_change_is_shown_as_a_difference_of_the_servers_own_types(make, change) -> None:
    make("pods", pod(automountServiceAccountToken=False))
    found = change("pods", {"spec": {"hostname": "other"}})
    assert found.startswith("spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`")
    lines = found.split("\n")
    assert lines[1].startswith("@@ -")
    assert [line for line in lines[2:] if line[:1] in "+-" and line] == ['- "Hostname": "",', '+ "Hostname": "other",']
    assert change("pods", {"spec": {"activeDeadlineSeconds": 60}}) == ""


def test_a_gated_pods_places_may_be_narrowed(make, change) -> None:
    make("pods", pod(schedulingGates=[{"name": "a/b"}], nodeSelector={"disk": "fast"}))
    assert change("pods", {"spec": {"nodeSelector": {"zone": "a"}}}) == ""
    assert "only additions to spec.nodeSelector are allowed" in change(
        "pods", {"spec": {"nodeSelector": {"disk": "x"}}}
    )
    assert "only deletion is allowed" in change("pods", {"spec": {"schedulingGates": [{"name": "c/d"}]}})
    assert change("pods", {"spec": {"schedulingGates": None}}) == ""
    assert "pod updates may not change" in change("pods", {"spec": {"nodeSelector": {"size": "big"}}})


def test_ephemeral_containers_are_added_and_stay(make, change, server) -> None:
    make("pods", pod())
    one = {"name": "debug", "image": "busybox", "targetContainerName": "web"}
    patch = {"metadata": {"labels": {"a": "b"}}, "spec": {"ephemeralContainers": [one], "hostname": "ignored"}}
    assert change("pods", patch, subresource="ephemeralcontainers") == ""
    now = server.get(ME, "pods", "web", "default")
    assert now["spec"]["ephemeralContainers"][0]["imagePullPolicy"] == "Always"
    assert (now["metadata"].get("labels"), now["spec"].get("hostname"), now["metadata"]["generation"]) == (
        None,
        None,
        2,
    )
    other = {"spec": {"ephemeralContainers": [{**one, "image": "alpine"}]}}
    found = change("pods", other, subresource="ephemeralcontainers")
    assert 'existing ephemeral containers "debug" may not be changed\n@@ -1,6 +1,6 @@' in found
    assert '- "Image": "busybox",' in found
    assert "may not be removed" in change(
        "pods", {"spec": {"ephemeralContainers": []}}, subresource="ephemeralcontainers"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ports": [{"containerPort": 80}]}, "ports: Forbidden: cannot be set for an Ephemeral Container"),
        ({"name": "web"}, 'spec.ephemeralContainers[0].name: Duplicate value: "web"'),
        ({"targetContainerName": "other"}, 'targetContainerName: Not found: "other"'),
    ],
)
def test_an_ephemeral_container_is_refused(make, change, fields, message) -> None:
    make("pods", pod())
    one = {"name": "debug", "image": "busybox", **fields}
    assert message in change("pods", {"spec": {"ephemeralContainers": [one]}}, subresource="ephemeralcontainers")


def resized(**resources):
    return {"spec": {"containers": [{"name": "web", "resources": resources}]}}


def test_resources_change_through_resize(make, change, server) -> None:
    make("pods", with_container(resources={"requests": {"cpu": "100m", "ephemeral-storage": "1Gi"}}))
    strategic = {"subresource": "resize", "type": "strategic"}
    assert change("pods", resized(requests={"cpu": "200m"}), **strategic) == ""
    container = server.get(ME, "pods", "web", "default")["spec"]["containers"][0]
    assert (container["resources"]["requests"]["cpu"], container["image"]) == ("200m", "nginx:1")
    assert "may not change as a result of resizing" in change("pods", resized(requests={"cpu": "0"}), **strategic)
    assert "only cpu and memory resources are mutable" in change(
        "pods", resized(requests={"ephemeral-storage": "2Gi"}), **strategic
    )
    assert "resource requests cannot be removed" in change("pods", resized(requests={"cpu": None}), **strategic)


def test_a_node_that_cannot_resize(make, change) -> None:
    make("pods", with_container(resources={"requests": {"cpu": "100m"}}))
    running = {
        "status": {"containerStatuses": [{"name": "web", "state": {"running": {}}, "image": "a", "imageID": ""}]}
    }
    change("pods", running, subresource="status")
    found = change("pods", resized(requests={"cpu": "200m"}), subresource="resize", type="strategic")
    assert found == "spec: Forbidden: Pod running on node without support for resize"


# what is printed


def test_fields_that_are_not_set_are_printed_too() -> None:
    shown = printed({"name": "a", "image": "b", "resources": {"limits": {"cpu": "1"}}}, "Container")
    assert list(shown)[:5] == ["Name", "Image", "Command", "Args", "WorkingDir"]
    assert shown["Resources"] == {"Limits": {"cpu": "1"}, "Requests": None, "Claims": None}
    assert (shown["TTY"], shown["LivenessProbe"]) == (False, None)
    spec = printed({"hostNetwork": True}, "PodSpec")
    assert spec["SecurityContext"]["HostNetwork"] is True
    assert "HostNetwork" not in spec


def test_a_difference_has_three_lines_around_each_change() -> None:
    shown = difference({"name": "a"}, {"name": "a", "stdin": True}, "Container").splitlines()
    assert [line for line in shown if line.startswith(("+", "-"))] == ['- "Stdin": false,', '+ "Stdin": true,']
    assert (len(shown), shown[1], shown[-1]) == (9, '  "TerminationMessagePolicy": "",', " }")


# warnings


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"nodeSelector": {"beta.kubernetes.io/os": "linux"}},
            'deprecated since v1.14; use "kubernetes.io/os" instead',
        ),
        ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}, 'spec.imagePullSecrets[1].name: duplicate name "a"'),
        (with_container(resources={"requests": {"memory": "100m"}}), 'fractional byte value "100m" is invalid'),
        (with_container(env=[{"name": "A"}, {"name": "A", "value": "b"}]), 'env[1]: hides previous definition of "A"'),
        (
            with_container(ports=[{"containerPort": 80}, {"containerPort": 80}]),
            "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
        ),
        (
            {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}]},
            "labelSelector: a null labelSelector results in matching no pod",
        ),
    ],
)
def test_a_pod_that_is_taken_with_a_warning(warned, spec, message) -> None:
    (found,) = warned("pods", {"metadata": {"name": "web"}, "spec": pod(**spec)})
    assert message in found


def test_names_that_make_no_host_names(warned) -> None:
    (found,) = warned("deployments.apps", {"metadata": {"name": "a.b"}, "spec": workload()})
    assert found.endswith("a DNS label is recommended: [must not contain dots]")


def test_templates_are_warned_of_where_they_are(warned) -> None:
    spec = workload(template=template(terminationGracePeriodSeconds=-1))
    (found,) = warned("statefulsets.apps", {"metadata": {"name": "a"}, "spec": spec})
    assert found.startswith("spec.template.spec.terminationGracePeriodSeconds: must be >= 0")


# bindings, component statuses


def test_a_binding_by_its_own_path(make, server) -> None:
    make("pods", pod())
    body = {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "n1"}}
    assert server.create(ME, "bindings", body, "default")["status"] == "Success"
    assert server.get(ME, "pods", "web", "default")["spec"]["nodeName"] == "n1"
    with pytest.raises(StatusError, match='pods "ghost" not found'):
        server.create(ME, "bindings", {**body, "metadata": {"name": "ghost"}}, "default")


def test_components_that_do_not_answer_are_unhealthy(server) -> None:
    server.computed["componentstatuses"] = component_statuses.reader(lambda: {"kube-scheduler": False, "etcd": True})
    found = {each["metadata"]["name"]: each["conditions"][0] for each in server.list(ME, "componentstatuses")}
    assert found["etcd-0"] == {"type": "Healthy", "status": "True", "message": "ok"}
    assert found["scheduler"]["status"] == "False"
    assert found["scheduler"]["message"].endswith("dial tcp 127.0.0.1:10259: connect: connection refused")
    assert server.get(ME, "componentstatuses", "controller-manager")["conditions"][0]["status"] == "True"
    with pytest.raises(StatusError, match='componentstatuses "ghost" not found'):
        server.get(ME, "componentstatuses", "ghost")
