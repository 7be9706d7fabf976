"""Policies in expressions, webhooks that nobody answers, flow control, devices and runtime classes."""

from __future__ import annotations

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.registry.flowcontrol.bootstrap import LEVELS, SCHEMAS, FlowSchemaStatus
from simkube.apiserver.registry.request import Request, options_of
from simkube.client.client import Caller, Informers
from simkube.client.workqueue import WorkLoop
from simkube.clock.clock import Clock
from tests.unit.simkube.apiserver.kinds.conftest import ME

GROUP = "admissionregistration.k8s.io"
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}


def policy(server, *validations, name="owners", **spec):
    constraints = {"resourceRules": [spec.pop("rule", RULE)]}
    body = {
        "metadata": {"name": name},
        "spec": {"matchConstraints": constraints, "validations": list(validations), **spec},
    }
    return server.create(ME, f"validatingadmissionpolicies.{GROUP}", body)


def bind(server, *actions, name="owners", **spec):
    spec = {"policyName": name, "validationActions": list(actions), **spec}
    return server.create(ME, f"validatingadmissionpolicybindings.{GROUP}", {"metadata": {"name": name}, "spec": spec})


def write(server, name="a", **meta):
    return server.create(ME, "configmaps", {"metadata": {"name": name, **meta}}, "default")


def refusal(call, *args, **kwargs):
    with pytest.raises(StatusError) as caught:
        call(*args, **kwargs)
    return caught.value


def test_a_bound_policy_denies(server) -> None:
    made = policy(server, {"expression": "has(object.metadata.labels)", "message": "no labels"})
    assert (made["spec"]["failurePolicy"], made["status"]) == ("Fail", {})
    assert made["spec"]["matchConstraints"]["resourceRules"][0]["scope"] == "*"
    write(server)  # bound to nothing yet
    bind(server, "Deny")
    error = refusal(write, server, "b")
    said = "ValidatingAdmissionPolicy 'owners' with binding 'owners' denied request: no labels"
    assert (error.code, error.reason) == (422, "Invalid")
    assert error.message == f'configmaps "b" is forbidden: {said}'
    assert error.details == {"name": "b", "kind": "configmaps", "causes": [{"message": said}]}
    assert write(server, "c", labels={"a": "b"})
    assert server.patch(ME, "configmaps", "a", {"data": {"a": "b"}}, "default")  # only creates are matched


def test_a_policy_can_say_why_and_how(server) -> None:
    policy(
        server,
        {
            "expression": "variables.short",
            "messageExpression": "'name ' + object.metadata.name + ' is long'",
            "reason": "Forbidden",
        },
        variables=[{"name": "short", "expression": "object.metadata.name.size() < 3"}],
        matchConditions=[{"name": "own", "expression": "request.userInfo.username == 'learner'"}],
    )
    bind(server, "Deny")
    error = refusal(write, server, "abc")
    assert error.code == 403
    assert error.message.endswith("denied request: name abc is long")
    assert write(server, "ab")


def test_a_policy_may_only_warn(server) -> None:
    policy(server, {"expression": "false"})
    bind(server, "Warn")
    found = server.registry.named("configmaps")
    request = Request(ME, "create", found, "default", options=options_of("create", {}))
    server.do_create(request, {"metadata": {"name": "a"}})
    assert request.warnings == [
        "Validation failed for ValidatingAdmissionPolicy 'owners' with binding 'owners': failed expression: false"
    ]


def test_what_cannot_be_decided_is_refused_unless_it_may_be_ignored(server) -> None:
    policy(server, {"expression": "object.data.size() > 0"})
    bind(server, "Deny")
    assert "resulted in error: no such key: data" in refusal(write, server).message
    server.patch(ME, f"validatingadmissionpolicies.{GROUP}", "owners", {"spec": {"failurePolicy": "Ignore"}})
    assert write(server)


def test_all_policies_for_a_request_share_what_they_may_cost(server) -> None:
    rule = {"expression": "object.data.all(a, object.data.all(b, a.size() + b.size() > 0))"}
    for name in ("one", "two", "three"):
        policy(server, rule, name=name)
        bind(server, "Deny", name=name)

    def make(keys):
        data = {f"k{number}": "v" for number in range(keys)}
        return server.create(ME, "configmaps", {"metadata": {"generateName": "a-"}, "data": data}, "default")

    assert make(10)
    assert make(10)  # another request, which has as much
    said = refusal(make, 40).message
    assert "'one'" not in said
    assert "validation failed due to running out of cost budget" in said


def test_a_binding_narrows_its_policy(server) -> None:
    policy(server, {"expression": "false"})
    bind(server, "Deny", matchResources={"namespaceSelector": {"matchLabels": {"strict": "yes"}}})
    assert write(server)
    server.patch(ME, "namespaces", "default", {"metadata": {"labels": {"strict": "yes"}}})
    assert refusal(write, server, "b").code == 422


def test_parameters_come_from_an_object(server) -> None:
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    policy(
        server,
        {"expression": "object.metadata.name == params.data.name"},
        paramKind=kind,
        rule={**RULE, "resources": ["secrets"]},
    )
    bind(server, "Deny", paramRef={"name": "allowed", "parameterNotFoundAction": "Deny"})

    def secret(name):
        return server.create(ME, "secrets", {"metadata": {"name": name}}, "default")

    assert "no params found for policy binding" in refusal(secret, "a").message
    server.create(ME, "configmaps", {"metadata": {"name": "allowed"}, "data": {"name": "a"}}, "default")
    assert secret("a")
    assert refusal(secret, "b").code == 422


def test_expressions_are_compiled_when_they_are_written(server) -> None:
    error = refusal(policy, server, {"expression": "object.spec >"})
    assert (
        "compilation failed: ERROR: <input>:1:14: Syntax error: mismatched input '<EOF>' expecting {'['"
        in error.message
    )
    assert "must evaluate to bool" in refusal(policy, server, {"expression": "1 + 1"}).message
    asks = {"expression": "true", "messageExpression": "authorizer.path('/').check('get').reason()"}
    assert "undeclared reference to 'authorizer'" in refusal(policy, server, asks).message
    assert refusal(server.create, ME, f"mutatingadmissionpolicies.{GROUP}", {"metadata": {"name": "a"}}).code == 501


def test_an_expression_asks_what_the_caller_may_do(server) -> None:
    asked = "authorizer.group('').resource('secrets').namespace('default').check('get').allowed()"
    account = f"authorizer.serviceAccount('default', 'robot'){asked.removeprefix('authorizer')}"
    policy(server, {"expression": f"{asked} && !{account}", "message": "who reads secrets may write"})
    own = "authorizer.requestResource.check('create').allowed() && !authorizer.path('/metrics').check('get').allowed()"
    policy(server, {"expression": own, "message": "no metrics"}, name="own")
    for name in ("owners", "own"):
        bind(server, "Deny", name=name)
    roles, rules = "roles.rbac.authorization.k8s.io", [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    writer = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}
    server.create(ME, roles, {"metadata": {"name": "reader"}, "rules": rules}, "default")
    server.create(ME, roles, {"metadata": {"name": "writer"}, "rules": [writer]}, "default")

    def give(name, user):
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        subjects = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]
        body = {"metadata": {"name": f"{name}-{user}"}, "roleRef": ref, "subjects": subjects}
        server.create(ME, "rolebindings.rbac.authorization.k8s.io", body, "default")

    ann = Caller("ann", ("system:authenticated",), "tester")
    give("writer", "ann")
    error = refusal(server.create, ann, "configmaps", {"metadata": {"name": "a"}}, "default")
    assert "who reads secrets may write" in error.message
    give("reader", "ann")
    assert server.create(ann, "configmaps", {"metadata": {"name": "a"}}, "default")
    assert "no metrics" in refusal(write, server, "b").message  # who is master of all may read them


def hook(server, kind="validating", **fields):
    one = {
        "name": "check.example.org",
        "clientConfig": {"service": {"name": "hook", "namespace": "default"}},
        "rules": [{**RULE, "operations": ["*"]}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **fields,
    }
    body = {"metadata": {"name": "hooks"}, "webhooks": [one]}
    return server.create(ME, f"{kind}webhookconfigurations.{GROUP}", body)


@pytest.mark.parametrize("kind", ["validating", "mutating"])
def test_a_webhook_that_nobody_answers_refuses(server, kind) -> None:
    write(server)
    made = hook(server, kind)["webhooks"][0]
    assert (made["failurePolicy"], made["timeoutSeconds"], made["clientConfig"]["service"]["port"]) == ("Fail", 10, 443)
    error = refusal(write, server, "b")
    assert (error.code, error.reason) == (500, "InternalError")
    assert error.message == (
        'Internal error occurred: failed calling webhook "check.example.org": failed to call webhook: Post '
        '"https://hook.default.svc:443/?timeout=10s": service "hook" not found'
    )
    assert refusal(server.patch, ME, "configmaps", "a", {"data": {"a": "b"}}, "default").code == 500
    assert refusal(server.delete, ME, "configmaps", "a", "default").code == 500
    server.create(ME, "services", {"metadata": {"name": "hook"}, "spec": {"ports": [{"port": 443}]}}, "default")
    assert "connect: connection refused" in refusal(write, server, "b").message
    server.delete(ME, f"{kind}webhookconfigurations.{GROUP}", "hooks")  # nobody guards the guards
    assert write(server, "b")


def test_a_webhook_that_may_be_ignored_is(server) -> None:
    hook(server, failurePolicy="Ignore", clientConfig={"url": "https://hook.example.org/check"})
    assert write(server)


def test_what_a_webhook_is_not_about(server) -> None:
    hook(
        server,
        objectSelector={"matchLabels": {"strict": "yes"}},
        matchConditions=[{"name": "a", "expression": "object.metadata.name != 'free'"}],
    )
    assert write(server)
    assert write(server, "free", labels={"strict": "yes"})
    assert "lookup" not in refusal(write, server, "b", labels={"strict": "yes"}).message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "check"}, "should be a domain with at least three segments separated by dots"),
        ({"sideEffects": None}, "sideEffects: Required value: must specify one of None, NoneOnDryRun"),
        ({"clientConfig": {}}, "exactly one of url or service is required"),
        ({"clientConfig": {"url": "http://a.b"}}, "'https' is the only allowed URL scheme"),
        ({"timeoutSeconds": 31}, "the timeout value must be between 1 and 30 seconds"),
        ({"rules": [{**RULE, "resources": ["*", "pods"]}]}, "if '*' is present, must not specify other resources"),
    ],
)
def test_a_webhook_is_refused(server, fields, message) -> None:
    assert message in refusal(hook, server, **fields).message


def test_every_cluster_has_its_flow_control(server) -> None:
    server.seed()
    levels = {each["metadata"]["name"] for each in server.list(ME, LEVELS)}
    schemas = server.list(ME, SCHEMAS)
    assert len(schemas) == 13
    assert {each["spec"]["priorityLevelConfiguration"]["name"] for each in schemas} <= levels
    assert all(each["status"]["conditions"][0]["lastTransitionTime"] for each in schemas)


def test_a_schema_says_whether_its_level_is_there(server) -> None:
    server.seed()
    clock = Clock(1_700_000_000.0)
    loop = WorkLoop(clock)
    FlowSchemaStatus(server, loop, Informers(server)).start()
    spec = {"priorityLevelConfiguration": {"name": "mine"}}
    server.create(ME, SCHEMAS, {"metadata": {"name": "own"}, "spec": spec})

    def dangling():
        loop.run_until_quiet()
        return server.get(ME, SCHEMAS, "own")["status"]["conditions"][0]["status"]

    assert dangling() == "True"
    reject = {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}
    server.create(ME, LEVELS, {"metadata": {"name": "mine"}, "spec": reject})
    assert dangling() == "False"


def test_flow_control_is_checked(server) -> None:
    limited = {"metadata": {"name": "a"}, "spec": {"type": "Limited", "limited": {}}}
    message = refusal(server.create, ME, LEVELS, limited).message
    assert message.endswith(
        'spec.limited.limitResponse.type: Unsupported value: "": supported values: "Queue", "Reject"'
    )
    spec = {"priorityLevelConfiguration": {"name": "a"}, "matchingPrecedence": 1}
    assert (
        "only the schema named 'exempt'"
        in refusal(server.create, ME, SCHEMAS, {"metadata": {"name": "a"}, "spec": spec}).message
    )


def test_claims_for_devices_stay_as_they_are(make, refuse, change) -> None:
    request = {"name": "gpu", "exactly": {"deviceClassName": "gpus"}}
    made = make("resourceclaims.resource.k8s.io", {"devices": {"requests": [request]}})
    assert made["spec"]["devices"]["requests"][0]["exactly"]["count"] == 1
    assert "allocation" not in made["status"]
    assert "field is immutable" in change("resourceclaims.resource.k8s.io", {"spec": {"devices": {"requests": []}}})
    assert "exactly.deviceClassName: Required value" in refuse(
        "resourceclaims.resource.k8s.io", {"devices": {"requests": [{"name": "gpu", "exactly": {}}]}}, name="b"
    )


def test_a_runtime_class_keeps_its_handler(server) -> None:
    server.create(ME, "runtimeclasses.node.k8s.io", {"metadata": {"name": "a"}, "handler": "sandbox"})
    error = refusal(server.patch, ME, "runtimeclasses.node.k8s.io", "a", {"handler": "other"})
    assert error.message.endswith('handler: Invalid value: "other": field is immutable')
