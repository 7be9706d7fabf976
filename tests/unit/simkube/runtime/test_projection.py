"""What the kubelet projects into a volume: links to the files of the present, which move all at once."""

from __future__ import annotations

import pytest

from simkube.runtime.container import SimContainer
from simkube.runtime.cri import Mount
from simkube.runtime.nodes import Directory, FileError, Symlink
from simkube.runtime.volume import MemoryVolume
from tests.doubles.container_node import Bench

FIRST = {"colour": (b"blue\n", 0o644), "ui/theme": (b"dark\n", 0o400)}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def volume_of(bench: Bench) -> MemoryVolume:
    volume = MemoryVolume(bench.clock.now)
    volume.project(FIRST)
    return volume


def reader(bench: Bench, volume: MemoryVolume, image: str = "busybox:1.36") -> SimContainer:
    parts = [("/one", "colour"), ("/ui", "ui")]
    mounts = [Mount(volume, "/config", read_only=True), *(Mount(volume, at, True, sub) for at, sub in parts)]
    return bench.idle(image, mounts=mounts)


def present(volume: MemoryVolume) -> str:
    link = volume.root.entries["..data"]
    assert isinstance(link, Symlink)
    assert isinstance(volume.root.entries[link.target], Directory)
    return link.target


def test_it_looks_as_the_kubelet_leaves_it(bench: Bench) -> None:
    volume = volume_of(bench)
    container = reader(bench, volume)
    listed = bench.run("ls -la /config", container).out.splitlines()[1:]
    name = present(volume)
    shown = [(line.split()[0], line.split(maxsplit=8)[8]) for line in listed]
    assert shown == [
        ("drwxrwxrwx", "."),
        ("drwxr-xr-x", ".."),
        ("drwxr-xr-x", name),
        ("lrwxrwxrwx", f"..data -> {name}"),
        ("lrwxrwxrwx", "colour -> ..data/colour"),
        ("lrwxrwxrwx", "ui -> ..data/ui"),
    ]
    assert bench.run("ls /config; cat /config/colour /config/ui/theme", container).out == "colour\nui\nblue\ndark\n"
    assert (
        bench.run("stat -L -c %a /config/ui/theme; echo /config/*", container).out == "400\n/config/colour /config/ui\n"
    )
    assert "Read-only file system" in bench.run("echo x > /config/colour", container).err


def test_a_change_moves_all_of_it_and_what_is_mounted_alone_stays(bench: Bench) -> None:
    volume = volume_of(bench)
    container, before = reader(bench, volume), present(volume)
    volume.project({"colour": (b"red\n", 0o644), "new": (b"1\n", 0o644)})
    assert present(volume) != before
    assert before not in volume.root.entries
    result = bench.run(
        "cat /config/colour /config/new /one /ui/theme; ls /config; test -L /one || echo plain", container
    )
    assert result.out == "red\n1\nblue\ndark\ncolour\nnew\nplain\n"


def test_what_is_there_already_is_left(bench: Bench) -> None:
    volume = volume_of(bench)
    before, held = present(volume), volume.quota.used
    bench.clock.advance(60)
    volume.project(dict(reversed(FIRST.items())))
    assert (present(volume), volume.quota.used) == (before, held)
    again = MemoryVolume(bench.clock.now)
    again.restore(volume.dump())
    again.project(FIRST)
    assert present(again) == before
    assert again.read("ui/theme") == b"dark\n"


def test_plain_files_of_an_earlier_layout_make_room(bench: Bench) -> None:
    volume = MemoryVolume(bench.clock.now)
    for path in ("colour", "gone", "ui/theme"):
        volume.write(path, b"old\n")
    volume.project(FIRST)
    assert set(volume.root.entries) == {present(volume), "..data", "colour", "ui"}
    assert volume.read("ui/theme") == b"dark\n"
    assert volume.quota.used == volume_of(bench).quota.used


def test_what_does_not_fit_changes_nothing(bench: Bench) -> None:
    volume = MemoryVolume(bench.clock.now, limit=16 * 1024)
    volume.project(FIRST)
    before, held = dict(volume.root.entries), volume.quota.used
    with pytest.raises(FileError, match="No space left"):
        volume.project({"large": (b"x" * 20_000, 0o644)})
    assert (volume.root.entries, volume.quota.used) == (before, held)
    volume.project({})
    assert set(volume.root.entries) == {"..data", present(volume)}
    assert volume.quota.used < held


@pytest.mark.parametrize(("image", "found"), [("busybox:1.36", 2), ("debian:12", 1)])
def test_a_search_follows_links_as_its_family_does(bench: Bench, image: str, found: int) -> None:
    result = bench.run("grep -r blue /config", reader(bench, volume_of(bench), image))
    assert result.out.count("blue") == found
    assert result.err == ""
