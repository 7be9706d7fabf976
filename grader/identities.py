"""The ``identities`` fixture: what somebody else may do in the cluster, asked as that somebody.

A service account is asked for with a token that the cluster itself issues for it, so that it passes every step that its
own pods pass; a user, who has no token, by impersonation. Both are exact on every provider: authentication,
authorization and admission are the API server's own. A call that would change something is made as a dry run unless the
check says otherwise.

It refuses to read the credentials of the learner's objects; a token that a check has found is its own to try.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from grader import limits
from grader.checks import fail
from grader.connection import JSON, Connection
from grader.errors import ClusterUnreachable, is_rule
from grader.evidence import Evidence
from grader.shapes import fields
from grader.text import quoted

ACCOUNT = "system:serviceaccount:"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
TOKEN_SECONDS = 86_400
"""Of cluster time, which on a fork nobody waits for."""
READS = ("GET", "HEAD")


@dataclass(frozen=True)
class Reply:
    """The API server's answer: ``status`` of HTTP; of a refusal Kubernetes' own ``reason`` and ``message``."""

    status: int
    reason: str
    message: str
    body: dict[str, Any] = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.status < 400

    def __str__(self) -> str:
        """For a message: ``403 Forbidden, "pods is forbidden: ..."``."""
        return f"{self.status} {self.reason}, {quoted(self.message)}" if self.message else f"{self.status}"


class Identity:
    """Somebody. ``name`` is the user's name as the API server knows it."""

    def __init__(
        self, name: str, groups: Sequence[str], connection: Connection, grader: Connection, space: str, log: Evidence
    ) -> None:
        self.name, self._groups = name, tuple(groups)
        self._connection, self._grader, self._namespace, self._evidence = connection, grader, space, log

    def call(
        self, method: str, path: str, body: object = None, *, dry_run: bool = True, patch: str = "merge-patch"
    ) -> Reply:
        """One request to ``path`` (``/api/v1/namespaces/shop/pods``), whatever its status. What would change something
        goes through every step and changes nothing, unless ``dry_run`` is false. ``patch``: the kind of a PATCH.

        ``ClusterUnreachable`` when the API server itself has no answer; a cluster's rule that fails is an answer.
        """
        target = path
        if dry_run and method not in READS:
            target += ("&" if "?" in path else "?") + "dryRun=All"
        kind = f"application/{patch}+json" if method == "PATCH" else JSON
        status, content = self._connection.send(method, target, body, content_type=kind)
        reply = _reply(status, content)
        if status >= 500 and not is_rule(status, reply.message):
            raise ClusterUnreachable(f"{method} {path} as {self.name}: {reply}")
        self._evidence.add("call", url=path, who=self.name, method=method, status=status, reason=reply.reason)
        return reply

    def expect(
        self,
        wanted: int | Collection[int],
        method: str,
        path: str,
        body: object = None,
        *,
        dry_run: bool = True,
        look: str = "",
    ) -> Reply:
        """:meth:`call`; the check fails when the status is another."""
        statuses = [wanted] if isinstance(wanted, int) else sorted(wanted)
        reply = self.call(method, path, body, dry_run=dry_run)
        if reply.status not in statuses:
            fail(
                expected=f"{method} {path} as {self.name} to be answered {' or '.join(map(str, statuses))}",
                observed=str(reply),
                look=look or f"kubectl auth can-i --list --as {self.name}",
            )
        return reply

    def may(self, verb: str, resource: str, name: str = "", *, namespace: str | None = None) -> bool:
        """An access review: whether RBAC lets them. ``resource``: ``pods``, ``deployments.apps``, ``pods/log``, or a
        path like ``/metrics``. ``namespace``: the lab's; "" asks for all namespaces, or for what is in none."""
        spec: dict[str, Any] = {"user": self.name, "groups": list(self._groups)}
        if resource.startswith("/"):
            spec["nonResourceAttributes"] = {"verb": verb, "path": resource}
        else:
            where = self._namespace if namespace is None else namespace
            spec["resourceAttributes"] = _attributes(verb, resource, name, where)
        answer = self._grader.create(REVIEWS, {"spec": spec})
        allowed = fields(answer.get("status")).get("allowed") is True
        about = f"{verb} {resource} {name}".strip()
        self._evidence.add("access review", url=about, who=self.name, allowed=allowed)
        return allowed

    def must(self, verb: str, resource: str, name: str = "", *, namespace: str | None = None) -> None:
        """The check fails when they may not."""
        if not self.may(verb, resource, name, namespace=namespace):
            self._fail(verb, resource, name, namespace, "may", "may not")

    def must_not(self, verb: str, resource: str, name: str = "", *, namespace: str | None = None) -> None:
        """The check fails when they may."""
        if self.may(verb, resource, name, namespace=namespace):
            self._fail(verb, resource, name, namespace, "may not", "may")

    def _fail(self, verb: str, resource: str, name: str, namespace: str | None, wanted: str, seen: str) -> None:
        where = self._namespace if namespace is None else namespace
        what = f"{verb} {resource}" + (f" {name}" if name else "")
        place = "" if resource.startswith("/") else f" in namespace {where}" if where else " in all namespaces"
        scope = f" --namespace {where}" if where else " --all-namespaces"
        fail(
            expected=f"that {self.name} {wanted} {what}{place}",
            observed=f"they {seen}",
            look=f"kubectl auth can-i {what} --as {self.name}" + ("" if resource.startswith("/") else scope),
        )


class Identities:
    """Whoever a check asks as."""

    def __init__(self, connection: Connection, namespace: str, evidence: Evidence) -> None:
        self._grader, self._namespace, self._evidence = connection, namespace, evidence
        self._made: dict[tuple[str, tuple[str, ...]], Identity] = {}
        self._open: list[Connection] = []

    def as_(self, name: str, groups: Collection[str] = ()) -> Identity:
        """A user in these groups, or a service account by its user name ``system:serviceaccount:NAMESPACE:NAME``. The
        check fails when there is no such service account."""
        if name.startswith(ACCOUNT):
            namespace, _, account = name.removeprefix(ACCOUNT).partition(":")
            return self.service_account(account, namespace)
        key = (name, tuple(sorted(groups)))
        if key not in self._made:
            user = self._user() | {"as": name, "as-groups": list(key[1])}
            self._made[key] = self._identity(name, [*key[1], "system:authenticated"], user)
        return self._made[key]

    def service_account(self, name: str, namespace: str = "") -> Identity:
        """A service account, of the lab's namespace unless another is given."""
        where = namespace or self._namespace
        known = f"{ACCOUNT}{where}:{name}"
        if (known, ()) not in self._made:
            path = f"/api/v1/namespaces/{_quote(where)}/serviceaccounts/{_quote(name)}/token"
            answer = self._grader.create(path, {"spec": {"expirationSeconds": TOKEN_SECONDS}})
            token = str(fields(answer.get("status")).get("token") or "")
            groups = ["system:serviceaccounts", f"system:serviceaccounts:{where}", "system:authenticated"]
            self._made[known, ()] = self._identity(known, groups, {"token": token})
        return self._made[known, ()]

    def holder_of(self, token: str, name: str = "the holder of a token") -> Identity:
        """Whoever shows ``token``, which may have been revoked. Only for calls: whose it is is not known."""
        return self._identity(name, [], {"token": token})

    def anonymous(self) -> Identity:
        """Somebody who does not say who they are."""
        return self._identity("system:anonymous", ["system:unauthenticated"], {})

    def close(self) -> None:
        """Drop the connections."""
        for one in self._open:
            one.close()
        self._open.clear()
        self._made.clear()

    def _identity(self, name: str, groups: Sequence[str], user: Mapping[str, Any]) -> Identity:
        connection = Connection(self._kubeconfig(user))
        self._open.append(connection)
        return Identity(name, groups, connection, self._grader, self._namespace, self._evidence)

    def _user(self) -> dict[str, Any]:
        """How the grader itself says who it is."""
        config = yaml.safe_load(self._grader.kubeconfig)
        context = next(one["context"] for one in config["contexts"] if one["name"] == config["current-context"])
        return dict(next(one["user"] for one in config["users"] if one["name"] == context["user"]) or {})

    def _kubeconfig(self, user: Mapping[str, Any]) -> str:
        """The grader's, for the same cluster, with another user."""
        config = yaml.safe_load(self._grader.kubeconfig)
        context = next(one["context"] for one in config["contexts"] if one["name"] == config["current-context"])
        clusters = [one for one in config["clusters"] if one["name"] == context["cluster"]]
        return json.dumps(
            {
                "current-context": "as",
                "contexts": [{"name": "as", "context": {"cluster": context["cluster"], "user": "as"}}],
                "clusters": clusters,
                "users": [{"name": "as", "user": dict(user)}],
            }
        )


def _attributes(verb: str, resource: str, name: str, namespace: str) -> dict[str, str]:
    plural, _, subresource = resource.partition("/")
    plural, _, group = plural.partition(".")
    given = {"verb": verb, "resource": plural, "group": group, "subresource": subresource, "name": name}
    return {key: value for key, value in {**given, "namespace": namespace}.items() if value}


def _reply(status: int, content: bytes) -> Reply:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        said = None
    body = said if isinstance(said, dict) else {}
    if status < 400:
        return Reply(status, "", "", body)
    message = str(body.get("message") or content[: limits.QUOTE_CHARACTERS].decode("utf-8", "replace"))
    return Reply(status, str(body.get("reason") or ""), message, body)


def _quote(name: str) -> str:
    return urllib.parse.quote(name, safe="")
