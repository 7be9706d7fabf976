"""The routes of ingress-nginx, from Ingress objects alone."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.runtime.programs.ingress import routes

Obj = dict[str, Any]


def path(text: str, service: str, kind: str = "Prefix") -> Obj:
    return {"path": text, "pathType": kind, "backend": {"service": {"name": service, "port": {"number": 80}}}}


def ingress(name: str, *paths: Obj, host: str = "", annotations: Obj | None = None, **spec: Any) -> Obj:
    notes = {f"{routes.PREFIX}{key}": value for key, value in (annotations or {}).items()}
    meta = {"name": name, "namespace": "shop", "creationTimestamp": f"2026-01-01T00:00:0{len(name)}Z"}
    rules = [{"host": host, "http": {"paths": list(paths)}}] if paths else []
    return {"metadata": {**meta, "annotations": notes}, "spec": {**({"rules": rules} if rules else {}), **spec}}


@pytest.mark.parametrize(
    ("asked", "service"),
    [
        ("/", "root"),
        ("/shop", "exact"),
        ("/shop/", "prefix"),
        ("/shop/cart", "prefix"),
        ("/shopping", "root"),
        ("/shop/cart/2", "prefix"),
        ("/shop/admin/x", "longer"),
    ],
)
def test_paths(asked: str, service: str) -> None:
    table = routes.table(
        [
            ingress(
                "a",
                path("/", "root"),
                path("/shop", "prefix"),
                path("/shop", "exact", "Exact"),
                path("/shop/admin/", "longer"),
            )
        ]
    )
    found = table.find("any.example.org", asked)
    assert found is not None
    assert found[0].backend is not None
    assert found[0].backend.service == service


def test_hosts_before_wildcards_before_none() -> None:
    made = [
        ingress("a", path("/", "named"), host="a.example.org"),
        ingress("b", path("/", "wild"), host="*.example.org"),
        ingress("c", path("/", "any")),
    ]
    table = routes.table(made)

    def service(host: str) -> str:
        found = table.find(host, "/")
        return found[0].backend.service if found and found[0].backend else ""

    assert [service(host) for host in ("a.example.org", "b.example.org", "x.y.example.org", "b.org")] == [
        "named", "wild", "any", "any",
    ]  # fmt: skip


def test_the_older_ingress_has_a_path_and_default_backends_answer_the_rest() -> None:
    default = {"service": {"name": "rest", "port": {"name": "http"}}}
    made = [
        ingress("younger", path("/", "second"), host="a.org"),
        ingress("old", path("/", "first"), host="a.org"),
        ingress("d", defaultBackend=default),
    ]
    table = routes.table(made)
    first, rest = table.find("a.org", "/x"), table.find("b.org", "/x")
    assert first is not None
    assert first[0].ingress == ("shop", "old")
    assert rest is not None
    assert rest[0].backend == routes.Backend("shop", "rest", "http")
    assert routes.table([]).find("a.org", "/") is None


def test_rewrites_with_what_the_path_matched() -> None:
    annotations = {"rewrite-target": "/$2", "use-regex": "true"}
    table = routes.table(
        [ingress("a", path("/api(/|$)(.*)", "api", "ImplementationSpecific"), annotations=annotations)]
    )
    found = table.find("", "/api/items/3")
    assert found is not None
    assert routes.rewritten(found[0], "/api/items/3", found[1]) == "/items/3"
    assert table.find("", "/other") is None


def test_tls_redirects_unless_told_otherwise() -> None:
    tls = [{"hosts": ["a.org"], "secretName": "s"}]
    table = routes.table([ingress("a", path("/", "web"), host="a.org", tls=tls)])
    found = table.find("a.org", "/")
    assert found is not None
    assert found[0].secure
    assert table.secret("a.org") == ("shop", "s")
    table = routes.table([ingress("a", path("/", "web"), host="a.org", tls=tls, annotations={"ssl-redirect": "false"})])
    found = table.find("a.org", "/")
    assert found is not None
    assert not found[0].secure


def test_what_is_not_simulated_is_named() -> None:
    table = routes.table([ingress("a", path("/", "web"), annotations={"auth-type": "basic", "rewrite-target": "/"})])
    found = table.find("", "/")
    assert found is not None
    assert found[0].refused == ("nginx.ingress.kubernetes.io/auth-type",)
    table = routes.table([ingress("a", path("/(((", "web"), annotations={"use-regex": "true"})])
    assert table.hosts[""][0].refused[0].startswith("the path '/((('")
