"""Policies and webhooks: what they match, what they say (``pkg/apis/admissionregistration/validation``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from simkube.apimachinery.errors import not_simulated
from simkube.apiserver.cel import types as t
from simkube.apiserver.registry.admissionregistration.compilation import compiled
from simkube.apiserver.validation.conditions import conditions
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_1035_label, qualified_name, subdomain
from simkube.apiserver.validation.selector import label_selector
from simkube.client.client import Obj

_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*", re.ASCII)
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
_FAILURE = ("Fail", "Ignore")
_MATCH = ("Equivalent", "Exact")
_ACTIONS = ("Audit", "Deny", "Warn")
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
_VERSIONS = ("v1", "v1beta1")


def policy(obj: Obj, errors: Errors) -> None:
    """A validating policy: what it matches; expressions that can be compiled."""
    spec = obj["spec"]
    if spec.get("failurePolicy") not in _FAILURE:
        errors.not_supported("spec.failurePolicy", spec.get("failurePolicy", ""), _FAILURE)
    if spec.get("paramKind") is not None:
        _param_kind(spec["paramKind"], "spec.paramKind", errors)
    match = spec.get("matchConstraints")
    if match is None:
        errors.required("spec.matchConstraints")
    else:
        _match(match, "spec.matchConstraints", errors)
        if not match.get("resourceRules"):
            errors.required("spec.matchConstraints.resourceRules")
    _conditions(spec.get("matchConditions", ()), "spec.matchConditions", errors)
    _said(spec, errors)


def policy_status(new: Obj, _old: Obj, errors: Errors) -> None:
    """What was found wrong with the types of expressions; conditions of the usual form."""
    status = new.get("status", {})
    for index, each in enumerate(status.get("typeChecking", {}).get("expressionWarnings", ())):
        where = f"status.typeChecking.expressionWarnings[{index}]"
        if not each.get("warning"):
            errors.required(f"{where}.warning")
        if not each.get("fieldRef", "").strip():
            errors.required(f"{where}.fieldRef")
    conditions(status.get("conditions", ()), "status.conditions", errors)


def _param_kind(given: Obj, path: str, errors: Errors) -> None:
    version, kind = given.get("apiVersion", ""), given.get("kind", "")
    group, _, name = version.rpartition("/")
    if not version:
        errors.required(f"{path}.apiVersion")
    elif version.count("/") > 1:
        errors.invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}")
    else:
        if group and (problems := subdomain(group)):
            errors.invalid(f"{path}.apiVersion", group, ",".join(problems))
        if not name:
            errors.invalid(f"{path}.apiVersion", name, "version must be specified")
        elif problems := dns_1035_label(name):
            errors.invalid(f"{path}.apiVersion", name, ",".join(problems))
    if not kind:
        errors.required(f"{path}.kind")
    elif problems := dns_1035_label(kind.lower()):
        detail = f"may have mixed case, but should otherwise match: {','.join(problems)}"
        errors.invalid(f"{path}.kind", kind, detail)


def _said(spec: Obj, errors: Errors) -> None:
    """Variables, validations, audit annotations: expressions that can be compiled."""
    for index, each in enumerate(spec.get("variables", ())):
        name = each.get("name", "")
        if not name:
            errors.required(f"spec.variables[{index}].name", "name is not specified")
        elif not _IDENTIFIER.fullmatch(name):
            errors.invalid(f"spec.variables[{index}].name", name, "name is not a valid CEL identifier")
        elif name in {before.get("name") for before in spec["variables"][:index]}:
            errors.duplicate(f"spec.variables[{index}].name", name)
        compiled(each.get("expression", ""), f"spec.variables[{index}].expression", errors, None)
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        detail = "validations or auditAnnotations must be non-empty; at least one of them must be provided"
        errors.required("spec.validations", detail)
    for index, each in enumerate(spec.get("validations", ())):
        path = f"spec.validations[{index}]"
        compiled(each.get("expression", ""), f"{path}.expression", errors)
        if each.get("messageExpression"):
            compiled(each["messageExpression"], f"{path}.messageExpression", errors, t.STRING, authorizer=False)
        if "\n" in each.get("message", "").strip():
            errors.invalid(f"{path}.message", each["message"].strip(), "message must not contain line breaks")
        if each.get("reason") and each["reason"] not in _REASONS:
            errors.not_supported(f"{path}.reason", each["reason"], _REASONS)
    for index, each in enumerate(spec.get("auditAnnotations", ())):
        for problem in qualified_name(each.get("key", "")):
            errors.invalid(f"spec.auditAnnotations[{index}].key", each.get("key", ""), problem)
        compiled(each.get("valueExpression", ""), f"spec.auditAnnotations[{index}].valueExpression", errors, None)


def binding(obj: Obj, errors: Errors) -> None:
    """A binding: which policy, and what is done where it is not kept."""
    spec = obj["spec"]
    name, actions = spec.get("policyName", ""), spec.get("validationActions", ())
    if not name:
        errors.required("spec.policyName")
    for problem in subdomain(name) if name else ():
        errors.invalid("spec.policyName", name, problem)
    given = spec.get("paramRef")
    if given is not None and bool(given.get("name")) == (given.get("selector") is not None):
        errors.forbidden("spec.paramRef.name", "name and selector are mutually exclusive")
    if given is not None and given.get("selector") is not None:
        label_selector(given["selector"], "spec.paramRef.selector", errors)
    if given is not None and given.get("parameterNotFoundAction") not in ("Allow", "Deny"):
        errors.required("spec.paramRef.parameterNotFoundAction", "parameterNotFoundAction is required")
    if spec.get("matchResources") is not None:
        _match(spec["matchResources"], "spec.matchResources", errors)
    if not actions:
        errors.required("spec.validationActions", "at least one validation action is required")
    for index, action in enumerate(actions):
        if action not in _ACTIONS:
            errors.not_supported(f"spec.validationActions[{index}]", action, _ACTIONS)
    if {"Deny", "Warn"} <= set(actions):
        detail = "must not contain both Deny and Warn (repeating the same validation failure information in the API "
        errors.invalid("spec.validationActions", list(actions), detail + "response and headers serves no purpose)")


def mutating(_: Obj, __: Errors) -> None:
    """Policies that change objects are not simulated: 501."""
    raise not_simulated("a mutating admission policy")


def _match(match: Obj, path: str, errors: Errors) -> None:
    if match.get("matchPolicy") not in _MATCH:
        errors.not_supported(f"{path}.matchPolicy", match.get("matchPolicy", ""), _MATCH)
    for name in ("namespaceSelector", "objectSelector"):
        label_selector(match.get(name, {}), f"{path}.{name}", errors)
    for name in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(match.get(name, ())):
            _rule(rule, f"{path}.{name}[{index}]", errors)


def _rule(rule: Obj, path: str, errors: Errors) -> None:
    for name in ("operations", "apiGroups", "apiVersions", "resources"):
        values = rule.get(name, ())
        if not values:
            errors.required(f"{path}.{name}")
        for at, value in enumerate(values if name in ("apiVersions", "resources") else ()):
            if not value:
                errors.required(f"{path}.{name}[{at}]")
        if name == "resources":
            _resources(values, f"{path}.{name}", errors)
        elif len(values) > 1 and "*" in values:
            errors.invalid(f"{path}.{name}", list(values), "if '*' is present, must not specify other " + _OTHERS[name])
    for index, name in enumerate(rule.get("resourceNames", ())):
        if name in rule["resourceNames"][:index]:
            errors.duplicate(f"{path}.resourceNames[{index}]", name)
    for index, operation in enumerate(rule.get("operations", ())):
        if operation not in _OPERATIONS:
            errors.not_supported(f"{path}.operations[{index}]", operation, _OPERATIONS)
    if rule.get("scope") not in _SCOPES:
        errors.not_supported(f"{path}.scope", rule.get("scope", ""), _SCOPES)


_OTHERS = {"operations": "operations", "apiGroups": "API groups", "apiVersions": "API versions"}


def _resources(values: Sequence[str], path: str, errors: Errors) -> None:
    """Resources and subresources: none that another one says already (``validateResources``)."""
    of_resource: set[str] = set()
    of_subresource: set[str] = set()
    plain = False
    for index, value in enumerate(values):
        resource, slash, part = value.partition("/")
        if not slash:
            plain = value != "*" if value else plain  # the last one counts, as in the server
            continue
        if resource in of_resource:
            errors.invalid(f"{path}[{index}]", value, f"if '{resource}/*' is present, must not specify {value}")
        if part in of_subresource:
            errors.invalid(f"{path}[{index}]", value, f"if '*/{part}' is present, must not specify {value}")
        if part == "*":
            of_resource.add(resource)
        if resource == "*":
            of_subresource.add(part)
    if len(values) > 1 and "*/*" in values:
        errors.invalid(path, list(values), "if '*/*' is present, must not specify other resources")
    if "*" in values and plain:
        detail = "if '*' is present, must not specify other resources without subresources"
        errors.invalid(path, list(values), detail)


def _conditions(given: list[Obj], path: str, errors: Errors) -> None:
    names: set[str] = set()
    for index, each in enumerate(given):
        name = each.get("name", "")
        if not name:
            errors.required(f"{path}[{index}].name")
        for problem in qualified_name(name) if name else ():
            errors.invalid(f"{path}[{index}].name", name, problem)
        if name in names:
            errors.duplicate(f"{path}[{index}].name", name)
        names.add(name)
        compiled(each.get("expression", ""), f"{path}[{index}].expression", errors)


def webhooks(obj: Obj, errors: Errors) -> None:
    """Webhooks: whom to ask about what, and what if nobody answers."""
    names: set[str] = set()
    for index, hook in enumerate(obj.get("webhooks", ())):
        path, name = f"webhooks[{index}]", hook.get("name", "")
        if name.count(".") < 2:
            errors.invalid(f"{path}.name", name, "should be a domain with at least three segments separated by dots")
        for problem in subdomain(name):
            errors.invalid(f"{path}.name", name, problem)
        if name in names:
            errors.duplicate(f"{path}.name", name)
        names.add(name)
        for at, rule in enumerate(hook.get("rules", ())):
            _rule(rule, f"{path}.rules[{at}]", errors)
        _choices(hook, path, errors)
        for field in ("namespaceSelector", "objectSelector"):
            label_selector(hook.get(field, {}), f"{path}.{field}", errors)
        client_config(hook.get("clientConfig", {}), f"{path}.clientConfig", errors)
        _conditions(hook.get("matchConditions", []), f"{path}.matchConditions", errors)


def _choices(hook: Obj, path: str, errors: Errors) -> None:
    versions = hook.get("admissionReviewVersions", ())
    if not versions:
        errors.required(f"{path}.admissionReviewVersions", f"must specify one of {', '.join(_VERSIONS)}")
    elif not set(versions) & set(_VERSIONS):
        detail = f"must include at least one of {', '.join(_VERSIONS)}"
        errors.invalid(f"{path}.admissionReviewVersions", list(versions), detail)
    for field, values in (("failurePolicy", _FAILURE), ("matchPolicy", _MATCH)):
        if hook.get(field) not in values:
            errors.not_supported(f"{path}.{field}", hook.get(field, ""), values)
    again = hook.get("reinvocationPolicy")
    if again is not None and again not in ("IfNeeded", "Never"):
        errors.not_supported(f"{path}.reinvocationPolicy", again, ("IfNeeded", "Never"))
    effects = hook.get("sideEffects", "")
    if not effects:
        errors.required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun")
    elif effects not in ("None", "NoneOnDryRun"):
        errors.not_supported(f"{path}.sideEffects", effects, ("None", "NoneOnDryRun"))
    seconds = hook.get("timeoutSeconds", 10)
    if not 1 <= seconds <= 30:
        errors.invalid(f"{path}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds")


def client_config(config: Obj, path: str, errors: Errors) -> None:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        errors.required(path, "exactly one of url or service is required")
    elif url is not None:
        parts = urlsplit(url)
        if parts.scheme != "https":
            detail = "'https' is the only allowed URL scheme; desired format: https://host[/path]"
            errors.invalid(f"{path}.url", parts.scheme, detail)
        if not parts.netloc:
            errors.invalid(f"{path}.url", "", "host must be specified; desired format: https://host[/path]")
    elif service is not None:
        for name in ("name", "namespace"):
            if not service.get(name):
                errors.required(f"{path}.service.{name}", f"service {name} is required")
        _url_path(service.get("path") or "", f"{path}.service.path", errors)
        if not 1 <= service.get("port", 443) <= 65535:
            detail = "port is not valid: must be between 1 and 65535, inclusive"
            errors.invalid(f"{path}.service.port", service["port"], detail)


def _url_path(given: str, path: str, errors: Errors) -> None:
    """A path of segments, each of which could be a subdomain."""
    if given in ("", "/"):
        return
    if not given.startswith("/"):
        errors.invalid(path, given, "must start with a '/'")
    for index, segment in enumerate(given.removeprefix("/").removesuffix("/").split("/")):
        if not segment:
            errors.invalid(path, given, f"segment[{index}] may not be empty")
            continue
        for problem in subdomain(segment):
            errors.invalid(path, given, f"segment[{index}]: {problem}")
