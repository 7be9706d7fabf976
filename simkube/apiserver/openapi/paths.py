"""The operations in the OpenAPI documents, made from what each resource can do.

Clients look in them for the kind behind a path, the action, and the parameters that are understood. Watch paths are
listed because the real documents list them; they are answered as ``?watch=true`` is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from simkube.apiserver.openapi import operations
from simkube.apiserver.registry.customresources import openapi as custom_openapi
from simkube.apiserver.registry.kinds import ALL
from simkube.apiserver.registry.resources import Resource, Subresource
from simkube.apiserver.schema.schema import definitions

Document = dict[str, Any]

META = "meta.k8s.io"
_META_PREFIX = "io.k8s.apimachinery.pkg.apis.meta.v1."
_CONNECTED = frozenset({"attach", "exec", "portforward", "proxy"})
_PATCH_TYPES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_PARAMETERS: dict[str, tuple[str, str]] = {
    "pretty": ("string", "If 'true', then the output is pretty printed."),
    "dryRun": ("string", "All: go through every step and store nothing."),
    "fieldManager": ("string", "The name of who makes this change; required for apply patches."),
    "fieldValidation": ("string", "What to do about unknown or duplicate fields: Ignore, Warn or Strict."),
    "force": ("boolean", "Take over fields of other managers; for apply patches only."),
    "labelSelector": ("string", "Restrict the list of returned objects by their labels."),
    "fieldSelector": ("string", "Restrict the list of returned objects by their fields."),
    "limit": ("integer", "The most objects of one answer."),
    "continue": ("string", "Where a list goes on, from the answer before."),
    "resourceVersion": ("string", "Which version of the data may be answered."),
    "resourceVersionMatch": ("string", "How resourceVersion is applied to a list."),
    "timeoutSeconds": ("integer", "How long a list or watch may take."),
    "watch": ("boolean", "Watch for changes to the described resources instead of listing them."),
    "allowWatchBookmarks": ("boolean", "Have a watch tell how far it is from time to time."),
    "gracePeriodSeconds": ("integer", "How long the object may take to end; 0 means at once."),
    "propagationPolicy": ("string", "What becomes of dependents: Orphan, Background or Foreground."),
}
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_LIST = (
    *("allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit"),
    *("resourceVersion", "resourceVersionMatch", "timeoutSeconds", "watch"),
)
_DELETE = ("dryRun", "gracePeriodSeconds", "propagationPolicy")
_OF_VERB = {
    "create": ("post", "post", _WRITE),
    "update": ("put", "put", _WRITE),
    "patch": ("patch", "patch", (*_WRITE, "force")),
    "get": ("get", "get", ()),
    "list": ("get", "list", _LIST),
    "delete": ("delete", "delete", _DELETE),
    "deletecollection": ("delete", "deletecollection", (*_DELETE, *_LIST)),
}
"""Per verb: HTTP method, ``x-kubernetes-action`` and query parameters."""


def paths(group: str, version: str, openapi: int, extra: Sequence[Resource] = ()) -> Document:
    """Every path of one group and version, those of the ``extra`` resources included; ``openapi`` is 2 or 3."""
    base = f"/apis/{group}/{version}" if group else f"/api/{version}"
    about = {
        **_document_operation("APIResourceList", openapi),
        "operationId": operations.operation_id("about", group, version, "", "APIResources"),
        "tags": [operations.tag(group, version)],
    }
    found = {f"{base}/": {"get": about}}
    for resource in (*ALL, *extra):
        if (resource.group, resource.version) == (group, version):
            found.update(_Builder(resource, base, openapi).paths())
    return dict(sorted(found.items()))


def group_path(group: str, root: str, openapi: int) -> Document:
    """The path that tells the versions of a group, or all groups; ``root`` is ``api`` or ``apis``."""
    answer = "APIGroup" if group else "APIVersions" if root == "api" else "APIGroupList"
    path = f"/{root}/{group}/" if group else f"/{root}/"
    name = operations.group_name(group) if group or root == "api" else ""
    behind = "APIGroup" if group else "APIVersions"
    return {path: {"get": {**_document_operation(answer, openapi), "operationId": f"get{name}{behind}"}}}


def _document_operation(answer: str, openapi: int) -> Document:
    return {"description": operations.DOCUMENTS[answer], "responses": _responses(_META_PREFIX + answer, openapi)}


def _reference(name: str, openapi: int) -> Document:
    return {"$ref": f"#/components/schemas/{name}" if openapi == 3 else f"#/definitions/{name}"}


def _responses(name: str, openapi: int, *codes: str) -> Document:
    schema = _reference(name, openapi) if name != "string" else {"type": "string"}
    body = {"content": {"application/json": {"schema": schema}}} if openapi == 3 else {"schema": schema}
    return {code: {"description": _CODES[code], **body} for code in codes or ("200",)}


_CODES = {"200": "OK", "201": "Created", "202": "Accepted"}


def _query(name: str, openapi: int) -> Document:
    kind, description = _PARAMETERS[name]
    shape: Document = {"schema": {"type": kind, "uniqueItems": True}} if openapi == 3 else {"type": kind}
    return {"name": name, "in": "query", "description": description, **shape}


def _path_parameter(name: str, openapi: int) -> Document:
    shape: Document = {"schema": {"type": "string"}} if openapi == 3 else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "description": f"the {name} of the object", **shape}


class _Builder:
    """The paths of one resource."""

    def __init__(self, resource: Resource, base: str, openapi: int) -> None:
        self._resource = resource
        self._base = base
        self._openapi = openapi
        custom = resource.custom
        self._name = (
            (definitions().definition_name(resource.gvk) or "") if custom is None else custom_openapi.name_of(custom)
        )
        self._list = f"{self._name}List" if custom is None else custom_openapi.list_name_of(custom)
        self._patches = _PATCH_TYPES if custom is None else _PATCH_TYPES[:-1]

    def paths(self) -> Document:
        resource = self._resource
        inside = f"{self._base}/namespaces/{{namespace}}" if resource.namespaced else self._base
        collection = f"{inside}/{resource.plural}"
        found = {collection: self._item(collection, ("list", "create", "deletecollection"))}
        if resource.namespaced and "list" in resource.verbs:
            everywhere = f"{self._base}/{resource.plural}"
            found[everywhere] = self._item(everywhere, ("list",))
        if not resource.review:
            one = f"{collection}/{{name}}"
            found[one] = self._item(one, ("get", "update", "patch", "delete"))
            for subresource in resource.subresources:
                found.update(self._subresource(f"{one}/{subresource.name}", subresource))
        if "watch" in resource.verbs:
            found.update(self._watches())
        return found

    def _item(self, path: str, verbs: tuple[str, ...]) -> Document:
        item: Document = {}
        for verb in verbs:
            if verb in self._resource.verbs:
                method = _OF_VERB[verb][0]
                item[method] = self._operation(verb, path, self._name, self._resource.gvk)
        return self._with_parameters(item, path)

    def _with_parameters(self, item: Document, path: str) -> Document:
        named = [name for name in ("name", "namespace", "path") if f"{{{name}}}" in path]
        parameters = [_path_parameter(name, self._openapi) for name in named]
        return {**item, "parameters": [*parameters, _query("pretty", self._openapi)]}

    def _named(self, verb: str, path: str, part: str = "") -> Document:
        """How the operation is described, called and found."""
        resource = self._resource
        watched = "watch" in resource.verbs
        everywhere = resource.namespaced and "{namespace}" not in path and not part
        listed = "List" if verb == "watchlist" else ""
        name = f"{resource.kind}{part[:1].upper()}{part[1:]}{listed}{'ForAllNamespaces' if everywhere else ''}"
        return {
            "description": operations.description(verb, resource.kind, part, watched=watched),
            "operationId": operations.operation_id(verb, resource.group, resource.version, path, name),
            "tags": [operations.tag(resource.group, resource.version)],
        }

    def _operation(self, verb: str, path: str, name: str, gvk: tuple[str, str, str], part: str = "") -> Document:
        method, action, parameters = _OF_VERB[verb]
        operation: Document = {
            **self._named(verb, path, part),
            "parameters": [_query(parameter, self._openapi) for parameter in parameters],
        }
        if method in ("post", "put", "patch", "delete"):
            self._add_body(operation, verb, name)
        operation["responses"] = self._answers(verb, name)
        operation["x-kubernetes-action"] = action
        operation["x-kubernetes-group-version-kind"] = {"group": gvk[0], "kind": gvk[2], "version": gvk[1]}
        return operation

    def _add_body(self, operation: Document, verb: str, name: str) -> None:
        special = {"patch": "Patch", "delete": "DeleteOptions", "deletecollection": "DeleteOptions"}
        schema = _reference(_META_PREFIX + special[verb] if verb in special else name, self._openapi)
        required = verb in ("create", "update", "patch")
        if self._openapi == 3:
            types = self._patches if verb == "patch" else ("*/*",)
            operation["requestBody"] = {"content": {one: {"schema": schema} for one in types}, "required": required}
            return
        operation["parameters"].append({"name": "body", "in": "body", "required": required, "schema": schema})
        operation["consumes"] = list(self._patches) if verb == "patch" else ["*/*"]

    def _answers(self, verb: str, name: str) -> Document:
        if verb == "list":
            return _responses(self._list, self._openapi)
        if verb in ("delete", "deletecollection"):
            return _responses(f"{_META_PREFIX}Status", self._openapi, "200", "202")
        codes = {"create": ("200", "201", "202"), "update": ("200", "201"), "patch": ("200", "201")}.get(verb, ("200",))
        return _responses(name, self._openapi, *codes)

    def _subresource(self, path: str, subresource: Subresource) -> Iterator[tuple[str, Document]]:
        gvk = (
            subresource.group or self._resource.group,
            subresource.version or self._resource.version,
            subresource.kind,
        )
        if subresource.name in _CONNECTED or subresource.name == "log":
            yield path, self._connection(path, subresource, gvk)
            if subresource.name == "proxy":
                yield f"{path}/{{path}}", self._connection(f"{path}/{{path}}", subresource, gvk)
            return
        name = definitions().definition_name(gvk) or self._name
        item = {
            _OF_VERB[verb][0]: self._operation(verb, path, name, gvk, subresource.name) for verb in subresource.verbs
        }
        yield path, self._with_parameters(item, path)

    def _connection(self, path: str, subresource: Subresource, gvk: tuple[str, str, str]) -> Document:
        item: Document = {}
        for verb in subresource.verbs:
            method = _OF_VERB[verb][0]
            item[method] = {
                **(self._named(verb, path, "log") if subresource.name == "log" else self._connected(method, path)),
                "responses": _responses("string", self._openapi),
                "x-kubernetes-action": "get" if subresource.name == "log" else "connect",
                "x-kubernetes-group-version-kind": {"group": gvk[0], "kind": gvk[2], "version": gvk[1]},
            }
        return self._with_parameters(item, path)

    def _connected(self, method: str, path: str) -> Document:
        resource, behind = self._resource, "WithPath" if path.endswith("/{path}") else ""
        part = path.removesuffix("/{path}").rpartition("/")[2]
        name = f"{resource.kind}{part[:1].upper()}{part[1:]}{behind}"
        return {
            "description": operations.connection(method, resource.kind, part),
            "operationId": operations.operation_id("connect", resource.group, resource.version, path, name, method),
            "tags": [operations.tag(resource.group, resource.version)],
        }

    def _watches(self) -> Iterator[tuple[str, Document]]:
        resource = self._resource
        watch = f"{self._base}/watch"
        inside = f"{watch}/namespaces/{{namespace}}" if resource.namespaced else watch
        lists = dict.fromkeys((f"{watch}/{resource.plural}", f"{inside}/{resource.plural}"))
        for path, action in [*((one, "watchlist") for one in lists), (f"{inside}/{resource.plural}/{{name}}", "watch")]:
            group, version, kind = resource.gvk
            operation = {
                **self._named(action, path),
                "responses": _responses(f"{_META_PREFIX}WatchEvent", self._openapi),
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": {"group": group, "kind": kind, "version": version},
            }
            yield path, self._with_parameters({"get": operation}, path)
