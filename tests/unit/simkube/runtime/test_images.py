"""References and the simulated registry."""

from __future__ import annotations

import pytest

from simkube.runtime import catalogue, reference, registry
from simkube.runtime.cri import ImageError, StartError
from tests.doubles.container_node import Bench


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.25", "docker.io/library/nginx:1.25"),
        ("kindling/web:1.0", "docker.io/kindling/web:1.0"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
        ("registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.9"),
        ("localhost:5000/a/b:c", "localhost:5000/a/b:c"),
        ("localhost/x", "localhost/x:latest"),
    ],
)
def test_references_are_normalised(given: str, normal: str) -> None:
    assert str(reference.parse(given)) == normal


@pytest.mark.parametrize("bad", ["", "NGINX", "a:b:c", ":x", "nginx:", "a//b", "-a", "a b", "x@sha256:12", "x" * 1000])
def test_malformed_references_are_refused(bad: str) -> None:
    with pytest.raises(ImageError, match="couldn't parse image name") as caught:
        reference.parse(bad)
    assert caught.value.reason == "InvalidImageName"


def test_an_unknown_tag_is_refused_in_containerds_words() -> None:
    with pytest.raises(ImageError) as caught:
        Bench().engine.pull("nginx:1.99")
    name = "docker.io/library/nginx:1.99"
    assert caught.value.reason == "ErrImagePull"
    assert str(caught.value) == (
        f'failed to pull and unpack image "{name}": failed to resolve reference "{name}": {name}: not found '
        "(nearest: nginx:1.29, nginx:1.29.0, nginx:1.29.1)"
    )


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("ngnix", r"pull access denied, .* \(the simulated registry does not have it; nearest: nginx\)"),
        ("nobody/nginx", r"pull access denied, .* nearest: nginx, "),
        ("docker.io/zzzz/qqqq", r"pull access denied, .* nor anything with a name like it\)"),
        ("registry.k8s.io/agnhost:2.40", r"not found \(.*nearest: registry.k8s.io/e2e-test-images/agnhost\)"),
        ("nginx:latset", r"not found \(nearest: nginx:latest\)"),
        ("nginx:1.25.3-alpin", r"not found \(nearest: nginx:1.25.3-alpine"),
        ("busybox:1.27.9", r"not found \(nearest: busybox:1.27.2, busybox:1.27.1"),
        ("registry.example.com/x:1", "dial tcp: lookup registry.example.com: no such host"),
        (f"nginx@sha256:{'0' * 64}", r"not found \(the simulated registry has digests of its own; nginx:latest is"),
    ],
)
def test_what_is_not_there_is_refused_with_what_there_is(wanted: str, words: str) -> None:
    with pytest.raises(ImageError, match=words) as caught:
        registry.find(reference.parse(wanted))
    assert caught.value.reason == "ErrImagePull"


@pytest.mark.parametrize("wanted", ["ngnix", "nginx:latset", "busybox:1.27.9", "registry.example.com/x", "localhost/x"])
def test_nothing_stands_in_for_what_no_public_registry_has(wanted: str) -> None:
    with pytest.raises(ImageError) as caught:
        registry.find(reference.parse(wanted), stand_ins=True)
    assert caught.value.reason == "ErrImagePull"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("k8s.gcr.io/pause:3.9", "registry.k8s.io/pause:3.9"),
        ("public.ecr.aws/docker/library/nginx:1.27", "nginx:1.27"),
        ("nginx:1.27", "nginx:1.27.5"),
        ("nginx:alpine", "nginx:1.29.4-alpine"),
        (f"nginx:1.27@sha256:{'1' * 64}", "nginx:1.27"),
    ],
)
def test_names_of_the_same_image(one: str, other: str) -> None:
    digests = [registry.find(reference.parse(name)).id.partition("@")[2] for name in (one, other)]
    assert digests[0] == digests[1]


def test_pulling_takes_time_and_what_is_there_does_not() -> None:
    engine = Bench().engine
    assert engine.image("busybox:1.36") is None
    pulled = engine.pull("busybox:1.36")
    assert pulled.pull_seconds > 0
    assert pulled.id.startswith("docker.io/library/busybox@sha256:")
    assert engine.image("docker.io/library/busybox:1.36") is not None
    assert engine.preload("nginx").pull_seconds == 0.0
    assert engine.pull(pulled.id).id == pulled.id


def test_a_container_needs_its_image_on_the_node() -> None:
    bench = Bench()
    from simkube.runtime.cri import ContainerConfig

    with pytest.raises(ImageError, match="is not present on node node-1"):
        bench.sandbox().create(ContainerConfig("x", "nginx"))


def _builds() -> list[str]:
    """One tag of each repository for each different thing that is said of its tags."""
    found: dict[tuple[str, str], str] = {}
    for name, one in catalogue.repositories().items():
        for tag, (build, entry) in one.tags.items():
            found[name, repr((build.more, sorted(entry)))] = f"{name}:{tag}"
    return sorted(found.values())


@pytest.mark.parametrize("name", _builds())
def test_every_image_can_be_built_and_its_programs_exist(name: str) -> None:
    from simkube.runtime.files import FileSystem
    from simkube.runtime.nodes import File, Quota
    from simkube.runtime.programs.table import PROGRAMS

    spec = registry.find(reference.parse(name))
    files = FileSystem(spec.root, Quota(0), lambda: 0.0)
    programs = {node.program for _, node in files.walk("/") if isinstance(node, File) and node.program}
    assert programs
    assert programs <= PROGRAMS.keys()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["foo"], 'exec: "foo": executable file not found in $PATH'),
        (["/foo"], 'exec: "/foo": stat /foo: no such file or directory'),
        (["/etc/passwd"], 'exec: "/etc/passwd": permission denied'),
        (["/tmp"], 'exec: "/tmp": permission denied'),
    ],
)
def test_what_cannot_be_started_is_told_in_runcs_words(command: list[str], words: str) -> None:
    with pytest.raises(StartError) as caught:
        Bench().started("busybox", command)
    assert words in str(caught.value)
    assert caught.value.reason == "StartError"
    assert caught.value.exit_code == 128


@pytest.mark.parametrize(
    ("image", "present", "absent"),
    [
        ("nginx:1.25", ["sh", "bash", "curl", "cat"], ["wget", "ps", "vi", "ping"]),
        ("nginx:1.25-alpine", ["sh", "curl", "wget", "ps"], ["bash"]),
        ("busybox", ["sh", "wget", "nslookup", "ps", "nc"], ["curl", "bash"]),
        ("kindling/web:1.0", ["sh", "python3", "cat"], ["wget", "curl", "ps"]),
    ],
)
def test_an_image_has_the_commands_of_the_real_one(image: str, present: list[str], absent: list[str]) -> None:
    bench = Bench()
    container = bench.idle(image)
    for name in present:
        assert bench.run(f"command -v {name}", container).code == 0, name
    for name in absent:
        result = bench.run(name, container)
        assert (result.code, "not found" in result.err) == (127, True), name


def test_small_python_programs_run_and_others_are_refused_by_name() -> None:
    bench = Bench()
    web = bench.idle("kindling/web:1.0")
    assert bench.run("python3 -c 'print(1)'", web).out == "1\n"
    result = bench.run("python3 -c 'import ctypes; print(ctypes.CDLL(None))'", web)
    assert result.code != 0
    assert "not simulated" in result.err
