"""CustomResourceDefinitions themselves: their defaults, what they must be, and how their status begins.

After ``apiextensions-apiserver/pkg/apis/apiextensions/{v1/defaults.go,validation}`` and
``pkg/registry/customresourcedefinition``.
"""

from __future__ import annotations

from typing import Any

from simkube.apimachinery.errors import not_simulated
from simkube.apiserver.registry.admissionregistration.validation import client_config
from simkube.apiserver.registry.apiextensions import structural
from simkube.apiserver.schema.custom.effort import Effort
from simkube.apiserver.schema.custom.jsonpath import PathError, compiled
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_1035_label, subdomain
from simkube.client.client import Caller, Obj

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
APPROVED = "api-approved.kubernetes.io"
_MIXED = "may have mixed case, but should otherwise match: "
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
REVIEWS = ("v1", "v1beta1")
"""Versions of ConversionReview."""
_IMMUTABLE = "field is immutable"


def defaults(obj: Obj) -> None:
    """Singular and list names, and no conversion."""
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    kind = str(names.get("kind") or "")
    if kind:
        names.setdefault("singular", kind.lower())
        names.setdefault("listKind", f"{kind}List")
    conversion = spec.setdefault("conversion", {})
    conversion.setdefault("strategy", "None")
    service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
    if service is not None:
        service.setdefault("port", 443)
    for version in spec.get("versions") or ():
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if isinstance(schema, dict):
            structural.decode(schema)


def prepare_create(obj: Obj, _now: str, _caller: Caller) -> None:
    """The status of a new definition."""
    stored = [each.get("name", "") for each in obj["spec"].get("versions") or () if each.get("storage")]
    obj["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}


def prepare_update(new: Obj, _old: Obj, subresource: str, _now: str) -> None:
    """Note the version that is stored from now on; changes ``new`` in place."""
    if subresource == "status":
        return
    status = dict(new.get("status") or {})
    known = list(status.get("storedVersions") or ())
    more = [each.get("name", "") for each in new["spec"].get("versions") or () if each.get("storage")]
    new["status"] = {**status, "storedVersions": [*known, *(name for name in more if name not in known)]}


def ended(obj: Obj, now: str) -> Obj:
    """A definition that is deleted: it waits for its instances to go."""
    meta = {**obj["metadata"], "deletionTimestamp": now}
    meta["finalizers"] = list(dict.fromkeys((*meta.get("finalizers", ()), FINALIZER)))
    message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    condition = {"type": "Terminating", "status": "True", "reason": "InstanceDeletionPending", "message": message}
    return with_condition({**obj, "metadata": meta}, condition, now)


def with_condition(obj: Obj, condition: Obj, now: str) -> Obj:
    """The definition with a condition set; its time is that of its last change of status."""
    status = dict(obj.get("status") or {})
    conditions = list(status.get("conditions") or ())
    made = {"type": condition["type"], "status": condition["status"], "lastTransitionTime": now}
    made |= {"reason": condition["reason"], "message": condition["message"]}
    for at, before in enumerate(conditions):
        if before.get("type") == condition["type"]:
            if before.get("status") == condition["status"]:
                made["lastTransitionTime"] = before.get("lastTransitionTime") or now
            conditions[at] = made
            break
    else:
        conditions.append(made)
    return {**obj, "status": {**status, "conditions": conditions}}


def validate(obj: Obj, errors: Errors) -> None:
    """A definition, new or changed."""
    spec, meta = obj["spec"], obj["metadata"]
    names, group = spec.get("names") or {}, spec.get("group", "")
    if meta.get("name") != f"{names.get('plural', '')}.{group}":
        errors.invalid("metadata.name", meta.get("name", ""), 'must be spec.names.plural+"."+spec.group')
    _approval(group, meta, errors)
    _group(group, errors)
    scope = spec.get("scope")
    if not scope:
        errors.required("spec.scope")
    elif scope not in ("Cluster", "Namespaced"):
        errors.not_supported("spec.scope", scope, ("Cluster", "Namespaced"))
    if spec.get("preserveUnknownFields"):
        errors.invalid("spec.preserveUnknownFields", True, "must be false in order to use version v1 of definitions")
    _versions(spec, errors)
    _names(names, "spec.names", errors, whole=True)
    _conversion(spec.get("conversion") or {}, errors)


def validate_update(new: Obj, old: Obj, errors: Errors) -> None:
    """What may not change: group and plural never, scope and kind once it is served."""
    spec, before = new["spec"], old["spec"]
    conditions = old.get("status", {}).get("conditions") or ()
    if any(one.get("type") == "Established" and one.get("status") == "True" for one in conditions):
        if spec.get("scope") != before.get("scope"):
            errors.invalid("spec.scope", spec.get("scope"), _IMMUTABLE)
        if spec["names"].get("kind") != before["names"].get("kind"):
            errors.invalid("spec.names.kind", spec["names"].get("kind"), _IMMUTABLE)
    if spec.get("group") != before.get("group"):
        errors.invalid("spec.group", spec.get("group"), _IMMUTABLE)
    if spec["names"].get("plural") != before["names"].get("plural"):
        errors.invalid("spec.names.plural", spec["names"].get("plural"), _IMMUTABLE)
    _stored_versions(new, errors)


def validate_status(new: Obj, _: Obj, errors: Errors) -> None:
    """Accepted names must be names, and stored versions be defined."""
    _names((new.get("status") or {}).get("acceptedNames") or {}, "status.acceptedNames", errors, whole=False)
    _stored_versions(new, errors)


def _stored_versions(obj: Obj, errors: Errors) -> None:
    stored = (obj.get("status") or {}).get("storedVersions") or []
    if not stored:
        errors.invalid("status.storedVersions", [], "must have at least one stored version")
    known = {each.get("name", "") for each in obj["spec"].get("versions") or ()}
    for at, name in enumerate(stored):
        if name not in known:
            detail = (
                "missing from spec.versions; "
                f"{name} was previously a storage version, and must remain in spec.versions until a storage migration "
                f"ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            )
            errors.invalid(f"status.storedVersions[{at}]", name, detail)


def _approval(group: str, meta: Obj, errors: Errors) -> None:
    if not (group.endswith((".k8s.io", ".kubernetes.io")) or group in ("k8s.io", "kubernetes.io")):
        return
    value = (meta.get("annotations") or {}).get(APPROVED)
    path = f"metadata.annotations[{APPROVED}]"
    why = "https://github.com/kubernetes/enhancements/pull/1111"
    if not value:
        detail = f'protected groups must have approval annotation "{APPROVED}", see {why}'
        errors.required(path, detail)
    elif not value.startswith(("https://", "http://", "unapproved")):
        detail = (
            f'protected groups must have approval annotation "{APPROVED}" with either a URL or a reason starting with '
            f'"unapproved", see {why}'
        )
        errors.invalid(path, value, detail)


def _group(group: str, errors: Errors) -> None:
    if not group:
        errors.required("spec.group")
    elif problems := subdomain(group):
        errors.invalid("spec.group", group, ",".join(problems))
    elif "." not in group:
        errors.invalid("spec.group", group, "should be a domain with at least one dot")


def _names(names: Obj, path: str, errors: Errors, *, whole: bool) -> None:
    for name in ("plural", "singular", "kind", "listKind"):
        value = names.get(name) or ""
        if not value:
            if whole:
                errors.required(f"{path}.{name}")
        elif problems := dns_1035_label(value.lower() if name in ("kind", "listKind") else value):
            mixed = _MIXED if name in ("kind", "listKind") else ""
            errors.invalid(f"{path}.{name}", value, mixed + ",".join(problems))
    for name in ("shortNames", "categories"):
        for at, value in enumerate(names.get(name) or ()):
            if problems := dns_1035_label(value):
                errors.invalid(f"{path}.{name}[{at}]", value, ",".join(problems))
    if names.get("kind") and names["kind"] == names.get("listKind"):
        errors.invalid(f"{path}.listKind", names["listKind"], "kind and listKind may not be the same")


def _versions(spec: Obj, errors: Errors) -> None:
    versions = spec.get("versions") or []
    for at, version in enumerate(versions):
        if problems := dns_1035_label(version.get("name", "")):
            errors.invalid(f"spec.versions[{at}].name", version.get("name", ""), ",".join(problems))
        if version.get("deprecationWarning") and not version.get("deprecated"):
            path = f"spec.versions[{at}].deprecationWarning"
            errors.invalid(path, version["deprecationWarning"], "can only be set for deprecated versions")
    if len({version.get("name") for version in versions}) != len(versions):
        errors.invalid("spec.versions", versions, "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        errors.invalid("spec.versions", versions, "must have exactly one version marked as storage version")
    _contents(versions, errors)


def _contents(versions: list[Obj], errors: Errors) -> None:
    """Schemas, subresources and columns; those that all versions share are told of once, as of the whole."""
    first = versions[0] if versions else {}
    effort = Effort(structural.MOST_STEPS, "a definition of this size")

    def schema_of(version: Obj, path: str, errors: Errors) -> None:
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if not schema:
            errors.required(f"{path}.openAPIV3Schema")
            return
        structural.check(schema, f"{path}.openAPIV3Schema", errors, effort)

    for name, shared, look in (
        ("schema", "spec.validation", schema_of),
        ("subresources", "spec.subresources", _subresources),
        ("additionalPrinterColumns", "spec.additionalPrinterColumns", _columns),
        ("selectableFields", "spec.selectableFields", _selectable),
    ):
        same = all(version.get(name) == first.get(name) for version in versions)
        for at, version in enumerate(versions[:1] if same else versions):
            missing = name == "schema" and not (version.get("schema") or {}).get("openAPIV3Schema")
            own = f"spec.versions[{at}].{name}"
            look(version, shared if same and not missing else own, errors)


def _subresources(version: Obj, path: str, errors: Errors) -> None:
    scale = (version.get("subresources") or {}).get("scale")
    if scale is None:
        return
    for name, root, required in (
        ("specReplicasPath", ".spec.", True),
        ("statusReplicasPath", ".status.", True),
        ("labelSelectorPath", (".spec.", ".status."), False),
    ):
        where, value = f"{path}.scale.{name}", scale.get(name) or ""
        if not value:
            if required:
                errors.required(where)
        elif not value.startswith("."):
            errors.invalid(where, value, "must be a simple json path starting with .")
        elif not value.startswith(root):
            named = root if isinstance(root, str) else ".spec. or .status."
            either = named.strip(".").replace(". or .", " or .")
            errors.invalid(where, value, f"should be a json path under .{either}")


def _columns(version: Obj, path: str, errors: Errors) -> None:
    for at, column in enumerate(version.get("additionalPrinterColumns") or ()):
        where = f"{path}[{at}]"
        if not column.get("name"):
            errors.required(f"{where}.name")
        if not column.get("type"):
            types = ",".join(_COLUMN_TYPES)
            errors.required(f"{where}.type", f"must be one of {types}")
        elif column["type"] not in _COLUMN_TYPES:
            errors.invalid(f"{where}.type", column["type"], f"must be one of {','.join(_COLUMN_TYPES)}")
        if not column.get("jsonPath"):
            errors.required(f"{where}.jsonPath")
            continue
        try:
            compiled(column["jsonPath"])
        except PathError as error:
            if any(sign in column["jsonPath"] for sign in ("..", ",", ":", "&&", "||")):
                raise not_simulated(f"the JSONPath {column['jsonPath']} of a printer column") from None
            errors.invalid(f"{where}.jsonPath", column["jsonPath"], f"is an invalid json path: {error}")


def _selectable(version: Obj, path: str, errors: Errors) -> None:
    given = version.get("selectableFields") or []
    if len(given) > 8:
        errors.too_many(path, len(given), 8)
    seen: set[str] = set()
    for at, one in enumerate(given):
        where, value = f"{path}[{at}].jsonPath", one.get("jsonPath") or ""
        if not value:
            errors.required(where)
        elif value in seen:
            errors.duplicate(where, value)
        elif not value.startswith("."):
            errors.invalid(where, value, "must be a simple json path starting with .")
        elif value.startswith(".metadata"):
            errors.invalid(where, value, "must not point to fields in metadata")
        elif not _selects_scalar((version.get("schema") or {}).get("openAPIV3Schema") or {}, value):
            detail = "is an invalid path: does not refer to a valid field of type string, boolean or integer"
            errors.invalid(where, value, detail)
        seen.add(value)


def _selects_scalar(schema: Any, path: str) -> bool:
    for name in path.strip(".").split("."):
        schema = (schema.get("properties") or {}).get(name) if isinstance(schema, dict) else None
    return isinstance(schema, dict) and schema.get("type") in ("string", "boolean", "integer")


def _conversion(given: Obj, errors: Errors) -> None:
    strategy, webhook = given.get("strategy"), given.get("webhook")
    if strategy not in ("None", "Webhook", None):
        errors.not_supported("spec.conversion.strategy", strategy, ("None", "Webhook"))
    if strategy != "Webhook":
        if webhook:
            errors.forbidden("spec.conversion.webhook", "should not be set when strategy is not set to Webhook")
        return
    path = "spec.conversion.webhook"
    config, versions = (webhook or {}).get("clientConfig"), (webhook or {}).get("conversionReviewVersions")
    if config is None:
        errors.required(f"{path}.clientConfig", "required when strategy is set to Webhook")
    else:
        client_config(config, f"{path}.clientConfig", errors)
    if not versions:
        errors.required(f"{path}.conversionReviewVersions")
    elif not set(versions) & set(REVIEWS):
        detail = f"must include at least one of {', '.join(REVIEWS)}"
        errors.invalid(f"{path}.conversionReviewVersions", list(versions), detail)
