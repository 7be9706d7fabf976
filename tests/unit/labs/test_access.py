"""Who may start labs where: privileged providers, grants, limits, and what happens when a grant is taken back."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from labs.bootstrap import Kindling, bootstrap
from labs.clusters.kind import KindProvider
from labs.clusters.provider import ClusterSpec, Provider
from labs.clusters.registry import Providers
from labs.clusters.simulated import SimulatedProvider
from labs.errors import NotFound, NotNow, NotPossible, Refused
from labs.records.models import ProviderGrant
from labs.session import SessionView
from labs.settings import Settings
from tests.doubles.providers import (
    BrokenHalfwayProvider,
    ManualClock,
    MemoryProvider,
    PrivilegedProvider,
    ScriptedGrader,
    UnavailableProvider,
)
from tests.unit.labs.conftest import LAB_YAML, Make, write_lab

PEOPLE = {"ada": "learner", "prof": "instructor", "root": "admin"}


class PrivilegedBrokenProvider(BrokenHalfwayProvider):
    """Gives power over the machine, and fails halfway."""

    privileged = True


class Meanwhile(PrivilegedProvider):
    """Something happens (``act``) in the step ``when``."""

    when = ""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.act: Callable[[], object] = bool

    def during(self, step: str, spec: ClusterSpec) -> None:
        if step == self.when:
            self.act()


@pytest.fixture
def real(tmp_path: Path) -> PrivilegedProvider:
    return PrivilegedProvider(tmp_path / "real")


@pytest.fixture
def services(make: Make, provider: MemoryProvider, real: PrivilegedProvider) -> Kindling:
    """``memory`` is for everybody, ``other`` gives power over the machine."""
    return with_people(make(provider, other=real))


def with_people(services: Kindling) -> Kindling:
    for name, role in PEOPLE.items():
        services.accounts.ensure(name, role)  # type: ignore[arg-type]
    return services


def up(services: Kindling, learner: str, provider: str | None = "other", lab: str = "first") -> SessionView:
    return services.sessions.wait(services.sessions.start(learner, lab, provider).id)


def test_kind_is_privileged_and_simulated_is_not() -> None:
    assert KindProvider.privileged
    assert not SimulatedProvider.privileged


class TestWithoutAGrant:
    def test_only_admins_may(self, services: Kindling, real: MemoryProvider) -> None:
        for name in ("ada", "prof"):
            with pytest.raises(Refused, match="power over the whole machine") as refused:
                services.sessions.start(name, "first", "other")
            assert refused.value.fix == "kindling start first --on memory"
            assert services.sessions.open_to(name) == ["memory"]
        assert real.log == []
        assert up(services, "root").state == "ready"
        assert services.sessions.open_to("root") == ["memory", "other"]

    def test_the_default_gives_way_to_what_is_open(
        self, settings: Settings, provider: MemoryProvider, real: MemoryProvider, clock: ManualClock
    ) -> None:
        chosen = dataclasses.replace(settings, provider="other")
        makers: dict[str, Callable[[Settings], Provider]] = {"memory": lambda _: provider, "other": lambda _: real}
        services = with_people(
            bootstrap(
                chosen, grader=ScriptedGrader(), providers=Providers(chosen, makers), now=clock, ticks=clock.ticks
            )
        )
        assert services.sessions.start("ada", "first").provider == "memory"
        assert services.sessions.start("root", "first").provider == "other"
        services.close()

    def test_what_it_alone_can_do_is_refused_without_a_wrong_offer(
        self, services: Kindling, provider: MemoryProvider, catalog: Path
    ) -> None:
        write_lab(catalog, "big", LAB_YAML.replace("nodes: 1", "nodes: 3"))
        provider.has = dataclasses.replace(provider.has, max_nodes=1)
        with pytest.raises(Refused) as refused:
            services.sessions.start("ada", "big", "other")
        assert refused.value.fix == ""
        with pytest.raises(NotPossible) as impossible:
            services.sessions.start("ada", "big", "memory")
        assert "other" not in str(impossible.value).replace("no other provider", "")
        with pytest.raises(NotPossible, match="kindling start big --on other"):
            services.sessions.start("root", "big", "memory")

    def test_a_provider_that_is_down_is_not_asked(self, make: Make, provider: MemoryProvider, tmp_path: Path) -> None:
        class Down(UnavailableProvider):
            privileged = True

        services = with_people(make(provider, other=Down(tmp_path / "down")))
        with pytest.raises(Refused):
            services.sessions.start("ada", "first", "other")


class TestGrants:
    @pytest.mark.parametrize(("scope", "subject"), [("role", "learner"), ("account", "ada"), ("class", "")])
    def test_let_in_and_no_further(self, services: Kindling, scope: str, subject: str) -> None:
        school = services.classes.create_class("Autumn", "prof")
        services.classes.join(school.join_code, "ada")
        services.accounts.ensure("olga", "instructor")
        made = services.grants.allow("other", scope, subject or school.id)
        assert services.grants.allow("other", scope, subject or school.id) == made
        assert services.grants.all() == [made]
        assert up(services, "ada").state == "ready"
        with pytest.raises(Refused):
            services.sessions.start("olga", "first", "other")

    def test_a_class_lets_in_who_is_in_it(self, services: Kindling) -> None:
        school = services.classes.create_class("Autumn", "prof")
        services.grants.allow("other", "class", school.id)
        assert services.sessions.open_to("prof") == ["memory", "other"]
        assert services.sessions.open_to("ada") == ["memory"]
        services.classes.join(school.join_code, "ada")
        assert services.sessions.open_to("ada") == ["memory", "other"]
        services.classes.leave(school.id, "ada")
        assert services.sessions.open_to("ada") == ["memory"]

    def test_nonsense_is_refused(self, services: Kindling) -> None:
        with pytest.raises(Refused, match="open to everybody"):
            services.grants.allow("memory", "role", "learner")
        with pytest.raises(Refused, match="learner, instructor"):
            services.grants.allow("other", "role", "admin")
        with pytest.raises(Refused, match="whom to let in"):
            services.grants.allow("other", "planet", "mars")
        with pytest.raises(NotFound):
            services.grants.allow("other", "class", "none")
        with pytest.raises(NotFound):
            services.grants.allow("other", "account", "nobody")
        with pytest.raises(NotFound):
            services.grants.allow("cloud", "role", "learner")
        with pytest.raises(NotFound, match="taken back already"):
            services.grants.revoke(7)
        assert services.grants.all() == []


class TestTakenBack:
    def test_labs_are_stopped_and_their_clusters_removed(self, services: Kindling, real: MemoryProvider) -> None:
        grant = services.grants.allow("other", "account", "ada")
        session = up(services, "ada")
        at_root = up(services, "root")
        attempt = services.sessions.check(session.id, "ada")
        services.grants.revoke(grant.id)
        for refused in (services.sessions.kubeconfig, services.sessions.controls, services.sessions.reset):
            with pytest.raises(NotNow):
                refused(session.id, "ada")
        services.sessions.reconcile()
        now = services.sessions.view(session.id, "ada")
        assert (now.state, now.detail) == ("stopped", "Stopped: you may not use other any more.")
        assert services.sessions.attempt(attempt.id, "ada").outcome == "ungradable"
        assert len(real.clusters()) == 1
        assert services.sessions.view(at_root.id, "root").state == "ready"

    def test_whatever_else_ends_it_is_seen_by_the_reconciler(self, services: Kindling, real: MemoryProvider) -> None:
        school = services.classes.create_class("Autumn", "prof")
        services.classes.join(school.join_code, "ada")
        services.grants.allow("other", "class", school.id)
        session = up(services, "ada")
        services.classes.leave(school.id, "ada")
        with pytest.raises(Refused):
            services.sessions.start("ada", "first")
        with pytest.raises(Refused):
            services.sessions.reset(session.id, "ada")
        services.sessions.reconcile()
        assert services.sessions.view(session.id, "ada").state == "stopped"
        assert real.clusters() == []

    def test_a_disabled_account_has_no_lab_on_any_provider(
        self, services: Kindling, provider: MemoryProvider, real: MemoryProvider
    ) -> None:
        services.accounts.ensure("second", "admin")
        sessions = [up(services, "ada", "memory"), up(services, "second", "other")]
        for name in ("ada", "second"):
            services.accounts.disable(name)
        services.sessions.reconcile()
        assert [services.sessions.view(one.id, one.learner).detail for one in sessions] == [
            "Stopped: its account is disabled."
        ] * 2
        assert provider.clusters() == real.clusters() == []
        with pytest.raises(Refused, match="disabled"):
            services.sessions.start("ada", "first", "memory")
        services.accounts.enable("ada")
        assert up(services, "ada", "memory").state == "ready"

    def test_a_lab_that_was_on_its_way_is_not_brought_up(self, services: Kindling, real: MemoryProvider) -> None:
        grant = services.grants.allow("other", "account", "ada")
        session = services.sessions.start("ada", "first", "other")
        with services.records.begin() as tx:
            tx.delete(tx.get_one(ProviderGrant, grant.id))
        assert services.sessions.wait(session.id).state == "stopped"
        assert not [line for line in real.log if line.startswith("create")]

    def test_the_reason_stays_whenever_it_is_taken_back(
        self, make: Make, provider: MemoryProvider, tmp_path: Path
    ) -> None:
        real = Meanwhile(tmp_path / "meanwhile")
        services = with_people(make(provider, other=real))
        for step in real.steps:
            grant = services.grants.allow("other", "account", "ada")
            real.when, real.act = step, partial(services.grants.revoke, grant.id)
            ended = up(services, "ada")
            assert (ended.state, ended.detail) == ("stopped", "Stopped: you may not use other any more.")
            assert real.clusters() == []

    def test_a_failed_one_is_not_tried_again(self, make: Make, provider: MemoryProvider, tmp_path: Path) -> None:
        broken = PrivilegedBrokenProvider(tmp_path / "broken")
        services = with_people(make(provider, other=broken))
        grant = services.grants.allow("other", "account", "ada")
        assert up(services, "ada").state == "failed"
        with services.records.begin() as tx:
            tx.delete(tx.get_one(ProviderGrant, grant.id))
        with pytest.raises(Refused):
            services.sessions.start("ada", "first")
        broken.broken = False
        services.sessions.reconcile()
        assert services.sessions.last("ada", "first").state == "stopped"  # type: ignore[union-attr]


class TestLimits:
    @pytest.fixture
    def limited(
        self, settings: Settings, catalog: Path, provider: MemoryProvider, real: MemoryProvider, clock: ManualClock
    ) -> Kindling:
        for name in ("second", "third", "fourth"):
            write_lab(catalog, name)
        chosen = dataclasses.replace(settings, kind_clusters=3, kind_per_learner=1)
        makers: dict[str, Callable[[Settings], Provider]] = {"memory": lambda _: provider, "other": lambda _: real}
        services = bootstrap(
            chosen, grader=ScriptedGrader(), providers=Providers(chosen, makers), now=clock, ticks=clock.ticks
        )
        with_people(services).grants.allow("other", "role", "learner")
        return services

    def test_of_one_learner(self, limited: Kindling) -> None:
        session = up(limited, "ada")
        with pytest.raises(NotNow, match=r"as one may have \(first\)") as refused:
            limited.sessions.start("ada", "second", "other")
        assert refused.value.fix == "kindling start second --on memory"
        assert up(limited, "ada", "memory", "second").state == "ready"
        limited.sessions.stop(session.id, "ada")
        with pytest.raises(NotNow):  # its cluster is still there
            limited.sessions.start("ada", "third", "other")
        limited.sessions.reconcile()
        assert up(limited, "ada", lab="third").state == "ready"

    def test_of_the_machine_admins_included(self, limited: Kindling) -> None:
        for lab in ("first", "second", "third"):
            assert up(limited, "root", lab=lab).state == "ready"
        for name in ("ada", "root"):
            with pytest.raises(NotNow, match="all 3 clusters"):
                limited.sessions.start(name, "fourth", "other")

    def test_one_that_is_given_up_counts_until_it_is_gone(self, limited: Kindling) -> None:
        session = up(limited, "ada")
        limited.sessions.stop(session.id, "ada")
        with pytest.raises(NotNow):
            limited.sessions.start("ada", "first", "other")
        assert limited.sessions.view(session.id, "ada").state == "stopping"

    def test_two_at_once_do_not_both_get_the_last_place(self, limited: Kindling) -> None:
        barrier, outcomes = threading.Barrier(4), []

        def go(lab: str) -> None:
            barrier.wait()
            try:
                limited.sessions.start("ada", lab, "other")
                outcomes.append("started")
            except NotNow:
                outcomes.append("refused")

        threads = [threading.Thread(target=go, args=(lab,)) for lab in ("first", "second", "third", "fourth")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["refused"] * 3 + ["started"]
