"""Members whose requests are ordinary, only too many, too large or too dear."""

from __future__ import annotations

import time

from soak.client import MERGE, Api
from soak.members.member import CONFIG_MAPS, Member, encoded

MANY = 3000
KEYS = 49_000
APPLY = "application/apply-patch+yaml"


class EndlessCreates(Member):
    """creates and deletes as fast as it goes"""

    def act(self, api: Api) -> None:
        for _ in range(50):
            body = {"metadata": {"generateName": "flood-", "labels": {"flood": "1"}}, "data": {"k": "v" * 100}}
            api("POST", CONFIG_MAPS, body)
        api("DELETE", f"{CONFIG_MAPS}?labelSelector=flood")


class LargeLists(Member):
    """reads thousands of objects at a time"""

    def prepare(self, api: Api) -> None:
        for number in range(MANY):
            api("POST", CONFIG_MAPS, {"metadata": {"name": f"kept-{number}"}, "data": {"k": "v" * 500}})

    def act(self, api: Api) -> None:
        api("GET", CONFIG_MAPS)


class HugeObjects(Member):
    """sends bodies as large as they may be"""

    BODY = encoded({"metadata": {"name": "big"}, "data": {f"k{n}": "v" * 90 for n in range(24_000)}})

    def act(self, api: Api) -> None:
        api("POST", CONFIG_MAPS, self.BODY)


class HugePatches(Member):
    """applies and merges a ConfigMap with 49,000 keys"""

    def prepare(self, api: Api) -> None:
        api("POST", CONFIG_MAPS, {"metadata": {"name": "patched"}})
        data = {f"k{number}": "v" for number in range(KEYS)}
        self._apply = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "patched"}, "data": data}
        self._merge = encoded({"data": data})
        self._apply_body = encoded(self._apply)

    def act(self, api: Api) -> None:
        api("PATCH", f"{CONFIG_MAPS}/patched", self._merge, MERGE)
        api("PATCH", f"{CONFIG_MAPS}/patched?fieldManager=m&force=true", self._apply_body, APPLY)


class CopyingPatches(Member):
    """copies an object into itself with JSON patches, twice as large each time"""

    def act(self, api: Api) -> None:
        api("POST", CONFIG_MAPS, {"metadata": {"name": "copied"}, "data": {"a": "b"}})
        operations = [{"op": "copy", "from": "/data", "path": f"/data/x{number}"} for number in range(30)]
        api("PATCH", f"{CONFIG_MAPS}/copied", operations, "application/json-patch+json")


class ManyManagers(Member):
    """applies one object as ever more field managers"""

    def prepare(self, api: Api) -> None:
        self._data = {f"k{number}": "v" for number in range(3500)}

    def act(self, api: Api) -> None:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "managed"}, "data": self._data}
        manager = time.monotonic_ns() % 40
        api("PATCH", f"{CONFIG_MAPS}/managed?fieldManager=m{manager}&force=true", body, APPLY)


class YamlAliases(Member):
    """sends YAML with aliases of aliases"""

    BODY = b"a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 9)
    )

    def act(self, api: Api) -> None:
        api("POST", CONFIG_MAPS, self.BODY, "application/yaml")


class HugeYaml(Member):
    """sends YAML as large as it may be"""

    BODY = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\ndata:\n" + b"".join(
        b"  k%d: 'v'\n" % n for n in range(45_000)
    )

    def act(self, api: Api) -> None:
        api("POST", CONFIG_MAPS, self.BODY, "application/yaml")


class LongSelectors(Member):
    """lists thousands of objects with selectors of hundreds of terms"""

    def prepare(self, api: Api) -> None:
        LargeLists.prepare(self, api)  # type: ignore[arg-type]  # the same objects
        self._terms = ",".join(f"k{number}%20notin%20(a,b,c)" for number in range(200))

    def act(self, api: Api) -> None:
        api("GET", f"{CONFIG_MAPS}?labelSelector={self._terms}")
