"""The site over services in which nothing is real but the records: a catalog with one lab, clusters that are files."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import pytest
from flask import Flask, current_app, has_request_context, request
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from labs.accounts import passwords
from labs.bootstrap import Kindling
from labs.records.database import Database
from labs.settings import Settings, load
from tests.unit.labs.conftest import catalog, clock, grader, make, provider, quick_passwords, services
from webapp import create_app

__all__ = ["catalog", "clock", "grader", "make", "provider", "quick_passwords", "services"]

LOCAL = "http://localhost"
LESSON = """\
---
title: The first lesson
summary: What it is about.
minutes: 3
---

Some *text* and `code`. Go to the [lab](lab:first) or [on](lesson:second).

```console
$ kubectl get pods
NAME   READY
```

```quiz
- id: one
  question: Which?
  answers:
    - {text: This, because: It is this., correct: true}
    - {text: That, because: It is not that.}
- id: several
  question: Which two?
  choose: many
  answers:
    - {text: A, because: Yes to A., correct: true}
    - {text: B, because: No to B.}
    - {text: C, because: Yes to C., correct: true}
```
"""
COURSE = """\
title: A course
summary: About something.
parts:
  - title: Beginning
    steps:
      - lesson: one
      - lab: first
      - lesson: second
      - lab: absent
"""


def write_course(root: Path, name: str = "a-course", lesson: str = LESSON) -> Path:
    """A course with two lessons around the lab ``first``."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "course.yaml").write_text(COURSE)
    (folder / "one.md").write_text(lesson)
    (folder / "second.md").write_text("---\ntitle: Another\nsummary: More.\nminutes: 2\n---\n\nText.\n")
    return folder


@pytest.fixture(scope="session")
def empty_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with every table and no row, made once."""
    home = tmp_path_factory.mktemp("template")
    records = Database(f"sqlite:///{home / 'kindling.db'}", home)
    records.open()
    records.close()
    return home / "kindling.db"


@pytest.fixture
def settings(tmp_path: Path, catalog: Path, empty_records: Path) -> Settings:
    """A home with empty records, and the providers ``memory`` (default) and ``other``."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(empty_records, home)
    return dataclasses.replace(
        load({"KINDLING_HOME": str(home)}), catalogs=(catalog,), provider="memory", providers=("memory", "other")
    )


@dataclass
class Visitor:
    """Somebody with a browser of their own. Posts carry the token of the last page, as a form would."""

    client: FlaskClient
    token: str = ""

    def get(self, path: str, **options: object) -> TestResponse:
        """Open a page."""
        answer = self.client.get(path, base_url=LOCAL, **options)  # type: ignore[arg-type]
        if answer.is_streamed:
            answer.get_data()
            answer.close()
        found = re.search(r'name="csrf-token" content="([^"]+)"', answer.get_data(as_text=True))
        self.token = found.group(1) if found else self.token
        return answer

    def post(self, path: str, fields: dict[str, object] | None = None, **options: object) -> TestResponse:
        """Send a form."""
        if not self.token:
            self.get("/sign-in")
        fields = {"csrf_token": self.token, **(fields or {})}
        return self.client.post(path, base_url=LOCAL, data=fields, **options)  # type: ignore[arg-type]

    def send(self, path: str, fields: dict[str, object] | None = None) -> TestResponse:
        """Send a form as the pages' script does: the token in a header, the answer as JSON."""
        if not self.token:
            self.get("/sign-in")
        headers = {"Accept": "application/json", "X-CSRFToken": self.token}
        return self.client.post(path, base_url=LOCAL, data=fields or {}, headers=headers)


@pytest.fixture(autouse=True)
def only_marked_views_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who hashes a password in a view without ``looks_at_passwords`` would stand in the way of everybody's pages."""
    real = passwords.place

    def place(home: Path) -> AbstractContextManager[None]:
        if has_request_context():
            view = current_app.view_functions[str(request.endpoint)]
            assert getattr(view, "looks_at_passwords", False), f"{request.endpoint} is to be marked"
        return real(home)

    monkeypatch.setattr(passwords, "place", place)


@pytest.fixture
def app(services: Kindling, tmp_path: Path) -> Flask:
    """The site, with a course."""
    write_course(tmp_path / "content")
    made = create_app(with_courses(services, tmp_path / "content"))
    made.config["PROPAGATE_EXCEPTIONS"] = False
    made.extensions["kindling-site"].later = lambda work: work()
    return made


def with_courses(services: Kindling, *roots: Path) -> Kindling:
    """The same services with other courses."""
    settings: Settings = dataclasses.replace(services.settings, courses=tuple(roots))
    return dataclasses.replace(services, settings=settings)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """Somebody who is not signed in."""
    return Visitor(app.test_client())


Enter = Callable[..., Visitor]


@pytest.fixture
def enter(app: Flask, services: Kindling) -> Enter:
    """Signs in an account (made when needed) by a one-time link."""

    def signed_in(name: str = "ada", role: str = "learner") -> Visitor:
        services.accounts.ensure(name, role)  # type: ignore[arg-type]
        visitor = Visitor(app.test_client())
        answer = visitor.get(f"/login/{services.accounts.login_link(name)}")
        assert answer.status_code == 302, answer.get_data(as_text=True)
        visitor.get("/")
        return visitor

    return signed_in


def text_of(answer: TestResponse) -> str:
    """What a page says, without markup and with single spaces."""
    body = re.sub(r"<(script|style|svg).*?</\1>", " ", answer.get_data(as_text=True), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())
