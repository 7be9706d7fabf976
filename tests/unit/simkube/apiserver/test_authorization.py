"""Who may do what: attributes of requests, RBAC rules, shared roles, escalation, impersonation, reviews."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.authentication.authentication import impersonated
from simkube.apiserver.authorization import bootstrap, rules
from simkube.apiserver.authorization.attributes import Attributes, of_request
from simkube.apiserver.server import APIServer
from simkube.client.client import Caller
from simkube.clock.clock import Clock
from simkube.etcd.journal import Journal
from simkube.etcd.store import Store

ADMIN = Caller("learner", ("system:masters",), "tester")
NOBODY = Caller("nobody", ("system:authenticated",), "tester")
GROUP = "rbac.authorization.k8s.io"
ROLES, BINDINGS = f"roles.{GROUP}", f"rolebindings.{GROUP}"
CLUSTER_ROLES, CLUSTER_BINDINGS = f"clusterroles.{GROUP}", f"clusterrolebindings.{GROUP}"


@pytest.fixture
def server() -> APIServer:
    made = APIServer(Store(Journal(), "c"), Clock(1_700_000_000.0))
    made.seed()
    made.create(ADMIN, "namespaces", {"metadata": {"name": "default"}})
    return made


def role(name: str, *given: dict[str, Any], **meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **meta}, "rules": list(given)}


def rule(verbs: str, resources: str, group: str = "", **more: Any) -> dict[str, Any]:
    return {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split(), **more}


def bind(server: APIServer, ref: str, user: str = "nobody", kind: str = "Role", name: str = "b") -> None:
    subject = {"kind": "User", "name": user, "apiGroup": GROUP}
    body = {"metadata": {"name": name}, "roleRef": {"kind": kind, "name": ref, "apiGroup": GROUP}}
    server.create(ADMIN, BINDINGS, {**body, "subjects": [subject]}, "default")


def refused(call: Any, *args: Any, **kwargs: Any) -> StatusError:
    with pytest.raises(StatusError) as caught:
        call(*args, **kwargs)
    return caught.value


@pytest.mark.parametrize(
    ("request_line", "query", "wanted"),
    [
        ("GET /api/v1/namespaces/a/pods", {}, Attributes("list", "", "v1", "pods", "", "a")),
        ("GET /api/v1/namespaces/a/pods", {"watch": "true"}, Attributes("watch", "", "v1", "pods", "", "a")),
        ("GET /api/v1/namespaces/a/pods/b/log", {}, Attributes("get", "", "v1", "pods", "log", "a", "b")),
        ("GET /api/v1/namespaces/a", {}, Attributes("get", "", "v1", "namespaces", "", "a", "a")),
        ("PUT /api/v1/namespaces/a/finalize", {}, Attributes("update", "", "v1", "namespaces", "finalize", "a", "a")),
        (
            "DELETE /apis/apps/v1/namespaces/a/deployments",
            {},
            Attributes("deletecollection", "apps", "v1", "deployments", "", "a"),
        ),
        (
            "GET /apis/x.y/v1/things",
            {"fieldSelector": "metadata.name=n"},
            Attributes("list", "x.y", "v1", "things", "", "", "n"),
        ),
        ("GET /apis/apps/v1", {}, Attributes("get", path="/apis/apps/v1")),
        ("GET /metrics", {}, Attributes("get", path="/metrics")),
        ("POST /api/v1/watch/pods", {}, Attributes("watch", "", "v1", "pods")),
    ],
)
def test_a_request_is_what_its_method_and_path_say(
    request_line: str, query: dict[str, str], wanted: Attributes
) -> None:
    method, _, path = request_line.partition(" ")
    assert of_request(method, path, query) == wanted


@given(st.text(max_size=60))
def test_any_path_has_attributes(path: str) -> None:
    found = of_request("GET", "/" + path, {})
    assert found.path or found.resource is not None


def test_a_rule_allows_what_it_names_and_no_more() -> None:
    named = rule("get update", "configmaps pods/log", resourceNames=["a"])
    allowed = Attributes("get", resource="configmaps", name="a")
    assert rules.allows(named, allowed)
    assert rules.allows(named, Attributes("get", resource="pods", subresource="log", name="a"))
    for other in (
        Attributes("list", resource="configmaps"),
        Attributes("get", resource="configmaps", name="b"),
        Attributes("get", resource="pods", name="a"),
        Attributes("get", group="apps", resource="configmaps", name="a"),
        Attributes("get", path="/configmaps"),
    ):
        assert not rules.allows(named, other)


def test_stars_allow_all_of_their_kind() -> None:
    scale = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*/scale"]}
    assert rules.allows(scale, Attributes("get", "apps", resource="deployments", subresource="scale"))
    assert not rules.allows(scale, Attributes("get", "apps", resource="deployments"))
    paths = {"verbs": ["get"], "nonResourceURLs": ["/healthz*", "/a/*"]}
    assert rules.allows(paths, Attributes("get", path="/healthz/ping"))
    assert rules.allows(paths, Attributes("get", path="/a/b"))
    assert not rules.allows(paths, Attributes("get", path="/b"))


def test_what_is_missing_is_shown_by_resource() -> None:
    held = [rule("get list", "pods")]
    wanted = [rule("get list watch", "pods secrets"), {"verbs": ["get"], "nonResourceURLs": ["/metrics"]}]
    assert [rules.shown(each) for each in rules.missing(held, wanted)] == [
        '{APIGroups:[""], Resources:["pods"], Verbs:["watch"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list" "watch"]}',
        '{NonResourceURLs:["/metrics"], Verbs:["get"]}',
    ]
    assert rules.missing(wanted, wanted) == []


def test_a_role_of_too_many_combinations_is_not_compared() -> None:
    many = {"verbs": [str(n) for n in range(200)], "apiGroups": ["a"], "resources": [str(n) for n in range(200)]}
    assert "combinations" in refused(rules.missing, [], [many]).message


def test_nobody_may_until_a_binding_says_so(server: APIServer) -> None:
    asked = Attributes("list", "", "v1", "pods", "", "default")
    assert refused(server.authorizer.check, NOBODY, asked).message == (
        'pods is forbidden: User "nobody" cannot list resource "pods" in API group "" in the namespace "default"'
    )
    server.create(ADMIN, ROLES, role("reader", rule("list", "pods")), "default")
    bind(server, "reader")
    decision = server.authorizer.decide(NOBODY, asked)
    assert decision.allowed
    assert decision.why == 'RBAC: allowed by RoleBinding "b/default" of Role "reader" to User "nobody"'
    assert not server.authorizer.decide(NOBODY, Attributes("list", "", "v1", "pods", "", "other")).allowed
    server.delete(ADMIN, BINDINGS, "b", "default")
    assert not server.authorizer.decide(NOBODY, asked).allowed


def test_a_missing_role_is_named_in_the_refusal(server: APIServer) -> None:
    bind(server, "ghost", kind="ClusterRole")
    decision = server.authorizer.decide(NOBODY, Attributes("list", "", "v1", "pods", "", "default"))
    assert not decision.allowed
    assert decision.why == f'RBAC: clusterrole.{GROUP} "ghost" not found'


def test_service_accounts_and_groups_are_subjects(server: APIServer) -> None:
    server.create(ADMIN, ROLES, role("reader", rule("list", "pods")), "default")
    ref = {"kind": "Role", "name": "reader", "apiGroup": GROUP}
    subjects = [{"kind": "ServiceAccount", "name": "app"}, {"kind": "Group", "name": "devs"}]
    server.create(ADMIN, BINDINGS, {"metadata": {"name": "b"}, "roleRef": ref, "subjects": subjects}, "default")
    asked = Attributes("list", "", "v1", "pods", "", "default")
    assert server.authorizer.decide(Caller("system:serviceaccount:default:app"), asked).allowed
    assert not server.authorizer.decide(Caller("system:serviceaccount:other:app"), asked).allowed
    assert server.authorizer.decide(Caller("x", ("devs",)), asked).allowed


# what every cluster has


def test_shared_roles_are_there_without_being_stored(server: APIServer) -> None:
    view = server.get(ADMIN, CLUSTER_ROLES, "view")
    assert view["metadata"]["creationTimestamp"]
    assert "secrets" not in {name for each in view["rules"] for name in each["resources"]}
    assert not any(resource == CLUSTER_ROLES for resource, _, _ in server.store._journal.objects("c"))
    other = APIServer(Store(Journal(), "d"), Clock())
    other.seed()
    assert other.store.get(CLUSTER_ROLES, "", "view") is server.store.get(CLUSTER_ROLES, "", "view")


def test_edit_and_admin_are_sums() -> None:
    shared = bootstrap.shared()[CLUSTER_ROLES]
    view, edit, admin = (shared["", name]["rules"] for name in ("view", "edit", "admin"))
    assert rules.missing(admin, edit) == []
    assert rules.missing(edit, view) == []
    assert rules.missing(edit, admin) != []


def test_a_changed_shared_role_is_stored_and_mended_at_the_next_start(server: APIServer) -> None:
    basic = server.get(ADMIN, CLUSTER_ROLES, "system:basic-user")
    server.update(ADMIN, CLUSTER_ROLES, {**basic, "metadata": dict(basic["metadata"]), "rules": [rule("get", "pods")]})
    server.delete(ADMIN, CLUSTER_ROLES, "system:heapster")
    assert refused(server.get, ADMIN, CLUSTER_ROLES, "system:heapster").code == 404
    again = APIServer(Store(server.store._journal, "c"), server.clock)
    assert again.store.get(CLUSTER_ROLES, "", "system:basic-user") is not None
    again.seed()
    mended = again.get(ADMIN, CLUSTER_ROLES, "system:basic-user")["rules"]
    assert rules.missing(mended, bootstrap.shared()[CLUSTER_ROLES]["", "system:basic-user"]["rules"]) == []
    assert rule("get", "pods") in mended
    assert again.get(ADMIN, CLUSTER_ROLES, "system:heapster")["rules"]


def test_a_snapshot_remembers_which_shared_roles_were_gone(server: APIServer) -> None:
    server.delete(ADMIN, CLUSTER_ROLES, "system:heapster")
    server.store.snapshot()
    server.delete(ADMIN, CLUSTER_ROLES, "view")
    assert server.store.restore()
    assert server.get(ADMIN, CLUSTER_ROLES, "view")["rules"]
    assert refused(server.get, ADMIN, CLUSTER_ROLES, "system:heapster").code == 404


# escalation


def test_nobody_gives_what_they_lack(server: APIServer) -> None:
    server.create(ADMIN, ROLES, role("maker", rule("create list", "roles rolebindings", GROUP)), "default")
    bind(server, "maker")
    error = refused(server.create, NOBODY, ROLES, role("greedy", rule("get list", "secrets")), "default")
    assert error.code == 403
    assert error.message == (
        f'roles.{GROUP} "greedy" is forbidden: user "nobody" (groups=["system:authenticated"]) is attempting to grant '
        'RBAC permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}'
    )
    server.create(NOBODY, ROLES, role("modest", rule("list", "roles", GROUP)), "default")
    subject = {"kind": "User", "name": "nobody", "apiGroup": GROUP}
    stronger = {"roleRef": {"kind": "ClusterRole", "name": "view", "apiGroup": GROUP}, "subjects": [subject]}
    assert refused(server.create, NOBODY, BINDINGS, {"metadata": {"name": "g"}, **stronger}, "default").code == 403


def test_bind_and_escalate_are_ways_around(server: APIServer) -> None:
    maker = role("maker", rule("create bind escalate", "roles rolebindings clusterroles", GROUP))
    server.create(ADMIN, ROLES, maker, "default")
    bind(server, "maker")
    assert server.create(NOBODY, ROLES, role("greedy", rule("get", "secrets")), "default")["rules"]
    ref = {"kind": "ClusterRole", "name": "view", "apiGroup": GROUP}
    made = server.create(NOBODY, BINDINGS, {"metadata": {"name": "g"}, "roleRef": ref, "subjects": []}, "default")
    assert made["roleRef"]["name"] == "view"


def test_summing_up_roles_takes_every_right(server: APIServer) -> None:
    server.create(ADMIN, CLUSTER_ROLES, role("maker", rule("create", "clusterroles", GROUP)))
    ref = {"kind": "ClusterRole", "name": "maker", "apiGroup": GROUP}
    body = {"metadata": {"name": "b"}, "roleRef": ref, "subjects": [{"kind": "User", "name": "nobody"}]}
    server.create(ADMIN, CLUSTER_BINDINGS, body)
    summed = {**role("sum"), "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}
    assert "must have cluster-admin privileges" in refused(server.create, NOBODY, CLUSTER_ROLES, summed).message


def test_a_bindings_role_never_changes(server: APIServer) -> None:
    server.create(ADMIN, ROLES, role("reader", rule("list", "pods")), "default")
    bind(server, "reader")
    error = refused(server.patch, ADMIN, BINDINGS, "b", {"roleRef": {"name": "other"}}, "default")
    assert error.code == 422
    assert "cannot change roleRef" in error.message


@pytest.mark.parametrize(
    ("resource", "body", "words"),
    [
        (ROLES, role("a", {"verbs": ["get"], "nonResourceURLs": ["/a"]}), "namespaced rules cannot apply"),
        (ROLES, role("a", {"apiGroups": [""], "resources": ["pods"]}), "verbs must contain at least one value"),
        (ROLES, role("a/b"), "may not contain '/'"),
        (
            BINDINGS,
            {
                "metadata": {"name": "b"},
                "roleRef": {"kind": "Role", "name": "r"},
                "subjects": [{"kind": "Robot", "name": "x"}],
            },
            "Unsupported value",
        ),
        (CLUSTER_BINDINGS, {"metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"}}, '"ClusterRole"'),
        (CLUSTER_ROLES, {**role("a"), "aggregationRule": {}}, "at least one clusterRoleSelector required"),
    ],
)
def test_roles_and_bindings_are_validated(server: APIServer, resource: str, body: dict[str, Any], words: str) -> None:
    where = "" if "cluster" in resource else "default"
    assert words in refused(server.create, ADMIN, resource, body, where).message


# acting as somebody else


def headers(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(pairs))


def test_administrators_act_as_anybody(server: APIServer) -> None:
    asked = headers(("Impersonate-User", "bob"), ("Impersonate-Group", "devs"), ("Impersonate-Extra-Team%2FA", "x"))
    found = impersonated(ADMIN, asked, server)
    assert (found.user, found.groups, found.extra) == ("bob", ("devs", "system:authenticated"), (("team/a", ("x",)),))
    account = impersonated(ADMIN, headers(("Impersonate-User", "system:serviceaccount:ns:app")), server)
    assert "system:serviceaccounts:ns" in account.groups
    unknown = impersonated(ADMIN, headers(("Impersonate-User", "system:anonymous")), server)
    assert unknown.groups == ("system:unauthenticated",)


def test_others_need_the_verb_for_each_part(server: APIServer) -> None:
    asked = headers(("Impersonate-User", "bob"), ("Impersonate-Group", "devs"))
    assert 'cannot impersonate resource "users"' in refused(impersonated, NOBODY, asked, server).message
    server.create(ADMIN, CLUSTER_ROLES, role("actor", rule("impersonate", "users", resourceNames=["bob"])))
    ref = {"kind": "ClusterRole", "name": "actor", "apiGroup": GROUP}
    body = {"metadata": {"name": "b"}, "roleRef": ref, "subjects": [{"kind": "User", "name": "nobody"}]}
    server.create(ADMIN, CLUSTER_BINDINGS, body)
    assert impersonated(NOBODY, headers(("Impersonate-User", "bob")), server).user == "bob"
    assert 'cannot impersonate resource "groups"' in refused(impersonated, NOBODY, asked, server).message
    assert refused(impersonated, NOBODY, headers(("Impersonate-Group", "devs")), server).code == 400
    assert refused(impersonated, ADMIN, headers(("Impersonate-User", "\udce9")), server).code == 400
    many = headers(("Impersonate-User", "bob"), *[("Impersonate-Group", str(number)) for number in range(200)])
    assert refused(impersonated, ADMIN, many, server).code == 400


# reviews


def review(server: APIServer, caller: Caller, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    made = server.create(caller, f"{kind.lower()}s.authorization.k8s.io", body)
    return dict(made["status"])


def test_reviews_answer_as_the_authorizer_does(server: APIServer) -> None:
    asked = {"resourceAttributes": {"namespace": "default", "verb": "list", "resource": "pods"}}
    assert review(server, NOBODY, "SelfSubjectAccessReview", asked) == {"allowed": False}
    assert review(server, ADMIN, "SelfSubjectAccessReview", asked) == {"allowed": True}
    assert review(server, ADMIN, "SubjectAccessReview", {**asked, "user": "nobody"}) == {"allowed": False}
    path = {
        "nonResourceAttributes": {"path": "/healthz", "verb": "get"},
        "user": "x",
        "groups": ["system:authenticated"],
    }
    assert review(server, ADMIN, "SubjectAccessReview", path)["allowed"]
    error = refused(review, server, ADMIN, "SelfSubjectAccessReview", {})
    assert (error.code, error.reason) == (422, "Invalid")


def test_the_rules_of_a_namespace_are_listed(server: APIServer) -> None:
    server.create(ADMIN, ROLES, role("reader", rule("list", "pods")), "default")
    bind(server, "reader")
    status = review(server, NOBODY, "SelfSubjectRulesReview", {"namespace": "default"})
    assert rule("list", "pods") in status["resourceRules"]
    assert not status["incomplete"]
    everything = review(server, ADMIN, "SelfSubjectRulesReview", {"namespace": "default"})
    assert {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]} in everything["resourceRules"]
