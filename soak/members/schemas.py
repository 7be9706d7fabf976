"""Members who define kinds, rules and policies that are dear to keep."""

from __future__ import annotations

from typing import Any

from soak.client import Api
from soak.members.member import DEFINITIONS, Member

Schema = dict[str, Any]
THINGS = "/apis/soak.example.com/v1/namespaces/default/things"


class Defining(Member):
    """Defines a kind by ``schema`` and makes objects of it."""

    threads = 2

    def schema(self) -> Schema:
        """Of ``spec``."""
        raise NotImplementedError

    def spec(self) -> Any:
        """Of each object."""
        raise NotImplementedError

    def definition(self) -> dict[str, Any]:
        """The kind."""
        whole = {"type": "object", "properties": {"spec": self.schema()}}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": whole}}
        names = {"plural": "things", "kind": "Thing"}
        spec = {"group": "soak.example.com", "scope": "Namespaced", "names": names, "versions": [version]}
        return {"metadata": {"name": "things.soak.example.com"}, "spec": spec}

    def prepare(self, api: Api) -> None:
        self._spec = self.spec()

    def act(self, api: Api) -> None:
        api("POST", DEFINITIONS, self.definition())
        for _ in range(5):
            body = {"apiVersion": "soak.example.com/v1", "kind": "Thing", "spec": self._spec}
            api("POST", THINGS, {**body, "metadata": {"generateName": "t-"}})
        api("GET", "/openapi/v2")
        api("DELETE", THINGS)
        api("DELETE", f"{DEFINITIONS}/things.soak.example.com")


class DeepSchemas(Defining):
    """defines kinds nested as deep as may be"""

    def schema(self) -> Schema:
        made: Schema = {"type": "string"}
        for _ in range(90):
            made = {"type": "object", "properties": {"a": made, "b": {"type": "string", "default": "x"}}}
        return made

    def spec(self) -> Any:
        made: Any = "x"
        for _ in range(90):
            made = {"a": made}
        return made


class WideSchemas(Defining):
    """defines kinds of tens of thousands of fields"""

    def schema(self) -> Schema:
        return {"type": "object", "properties": {f"f{n}": {"type": "string", "default": "x"} for n in range(15_000)}}

    def spec(self) -> Any:
        return {f"f{n}": "x" for n in range(3000)}


class Alternatives(Defining):
    """defines kinds by thousands of alternatives, each looked at for each item"""

    def schema(self) -> Schema:
        wanted = [{"required": [f"r{n}"]} for n in range(2000)]
        item: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "anyOf": wanted}
        return {"type": "array", "items": item}

    def spec(self) -> Any:
        return [{"a": n} for n in range(1300)]


class Patterns(Defining):
    """defines kinds whose texts must match long patterns"""

    def schema(self) -> Schema:
        return {"type": "array", "items": {"type": "string", "pattern": "^(" + "(a|b)?" * 200 + "[ab]{0,200})$"}}

    def spec(self) -> Any:
        return ["ab" * 300 + "c" for _ in range(3500)]


class Rules(Defining):
    """defines kinds with rules that compare everything with everything"""

    def schema(self) -> Schema:
        rule = "self.all(a, self.exists(b, b != a || b == a) && self.all(c, c.size() >= 0))"
        rules = [{"rule": rule, "message": str(number)} for number in range(20)]
        items = {"type": "string", "maxLength": 20}
        return {"type": "array", "maxItems": 3000, "items": items, "x-kubernetes-validations": rules}

    def spec(self) -> Any:
        return [f"s{n}" for n in range(3000)]


class Defaults(Defining):
    """defines kinds that fill in thousands of fields for each item of a list"""

    def schema(self) -> Schema:
        fields = {f"f{n}": {"type": "string", "default": "x"} for n in range(5000)}
        return {"type": "array", "items": {"type": "object", "properties": fields}}

    def spec(self) -> Any:
        return [{} for _ in range(3900)]


class TooLargePatterns(Defining):
    """defines kinds by thousands of patterns that are too large to compile"""

    def schema(self) -> Schema:
        patterns = {f"f{n}": {"type": "string", "pattern": f"(\\pL\\pN){{50}}{n}"} for n in range(5000)}
        return {"type": "object", "properties": patterns}

    def spec(self) -> Any:
        return {}


class ManyRules(Defining):
    """defines kinds of thousands of fields with a rule for each of them"""

    def schema(self) -> Schema:
        fields = {f"f{n}": {"type": "string"} for n in range(3000)}
        rules = [{"rule": f"has(self.f{n}) || self.f{n}.size() >= {n}"} for n in range(2000)]
        return {"type": "object", "properties": fields, "x-kubernetes-validations": rules}

    def spec(self) -> Any:
        return {}


class Policies(Member):
    """keeps admission policies with rules that compare everything with everything"""

    threads = 2
    POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"

    def prepare(self, api: Api) -> None:
        rule = "object.data.all(a, object.data.all(b, a.size() + b.size() > 0))"
        rules = [{"expression": rule} for _ in range(30)]
        resource = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
        for number in range(10):
            spec = {"matchConstraints": {"resourceRules": [resource]}, "validations": rules}
            name = f"dear-{number}"
            api("POST", self.POLICIES, {"metadata": {"name": name}, "spec": spec})
            bound = {"policyName": name, "validationActions": ["Warn"]}
            api("POST", f"{self.POLICIES[:-3]}ybindings", {"metadata": {"name": name}, "spec": bound})

    def act(self, api: Api) -> None:
        data = {f"k{number}": "v" for number in range(3500)}
        api("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"generateName": "p-"}, "data": data})
