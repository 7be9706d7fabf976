"""The shapes of Kubernetes objects."""

import pytest

from simkube.apiserver.registry.kinds import ALL
from simkube.apiserver.schema.schema import Type, definitions

POD = ("", "v1", "Pod")
DEPLOYMENT = ("apps", "v1", "Deployment")


def of(gvk: tuple[str, str, str], *path: str) -> Type:
    found = definitions().of(gvk)
    assert found is not None
    for name in path:
        found = found.fields[name].type if name in found.fields else found.element
        assert found is not None
    return found


def test_definitions_are_read_once() -> None:
    assert definitions() is definitions()


@pytest.mark.parametrize("resource", ALL, ids=lambda one: one.qualified)
def test_every_served_kind_has_a_shape(resource) -> None:
    assert definitions().of(resource.gvk) is not None
    assert definitions().definition_name(resource.gvk).endswith(f".{resource.kind}")


def test_an_unknown_kind_has_none() -> None:
    assert definitions().of(("apps", "v1", "Nothing")) is None
    assert ("batch", "v1", "Job") in definitions().kinds()


@pytest.mark.parametrize(
    ("path", "shape", "go"),
    [
        (("spec", "replicas"), "integer", "int32"),
        (("spec", "paused"), "boolean", "bool"),
        (("spec", "template", "spec"), "struct", "v1.PodSpec"),
        (("spec", "template", "spec", "containers"), "list", "[]v1.Container"),
        (("metadata", "labels"), "map", "map[string]string"),
        (("metadata", "creationTimestamp"), "time", "v1.Time"),
        (("spec", "strategy", "rollingUpdate", "maxSurge"), "int-or-string", "intstr.IntOrString"),
    ],
)
def test_types_of_fields(path: tuple[str, ...], shape: str, go: str) -> None:
    found = of(DEPLOYMENT, *path)
    assert (found.shape, found.go) == (shape, go)


def test_quantities_and_bytes() -> None:
    resources = of(POD, "spec", "containers", "", "resources", "limits")
    assert resources.element is not None
    assert resources.element.shape == "quantity"
    assert of(("", "v1", "Secret"), "data").element.shape == "bytes"


def test_lists_are_atomic_sets_or_maps() -> None:
    assert of(POD, "spec", "tolerations").atomic
    finalizers = of(POD, "metadata", "finalizers")
    assert (finalizers.atomic, finalizers.keys) == (False, ())
    assert of(POD, "spec", "containers", "", "ports").keys == ("containerPort", "protocol")


def test_a_selector_has_one_owner() -> None:
    assert of(DEPLOYMENT, "spec", "selector").atomic
    assert of(POD, "spec", "nodeSelector").atomic
    assert not of(DEPLOYMENT, "spec").atomic


def test_merge_keys_and_strategies() -> None:
    spec = of(POD, "spec")
    containers, volumes = spec.fields["containers"], spec.fields["volumes"]
    assert (containers.merges, containers.merge_key) == (True, "name")
    assert volumes.strategies == {"merge", "retainKeys"}
    assert not spec.fields["tolerations"].merges


def test_what_is_written_even_when_empty() -> None:
    spec = of(DEPLOYMENT, "spec")
    assert spec.fields["strategy"].present == "struct"
    assert spec.fields["replicas"].present == ""
    assert of(POD, "spec").fields["containers"].present == "null"


def test_untyped_values_keep_what_nobody_declares() -> None:
    assert of(("apps", "v1", "ControllerRevision"), "data").shape == "any"
    assert of(POD, "spec").shape == "struct"
