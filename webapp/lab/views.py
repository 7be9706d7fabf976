"""The lab page and what can be done from it. Every form works without script; with script it answers in JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from labs.definition import Lab
from labs.session import SessionView
from webapp.content.render import page as render_page
from webapp.content.render import without_title
from webapp.error_pages import wants_json
from webapp.lab.view_model import certificate, change, fragments, version, view_model
from webapp.lessons.outline import lab_state
from webapp.login import login_required
from webapp.site import current_account, current_account_or_none, kindling, site

blueprint = Blueprint("lab", __name__)


@blueprint.get("/labs/")
def index() -> str:
    """Every lab."""
    services, account = kindling(), current_account_or_none()
    labs = services.labs.all()
    rows = [(lab, *lab_state(services, account, lab), certificate(lab)[1] == "draft") for lab in labs]
    return render_template("lab/index.html", rows=rows, problems=services.labs.problems())


@blueprint.get("/labs/<lab>/")
@login_required
def page(lab: str) -> str:
    """Instructions beside status."""
    account, found = current_account(), kindling().labs.get(lab)
    kindling().sessions.active(account.name, found.name, "page")
    seen = view_model(account, found)
    instructions = render_page(without_title(found.instructions(seen.parameters)), _resolve, found.folder)
    return render_template(
        "lab/page.html",
        lab=found,
        view=seen,
        instructions=instructions,
        fragments=fragments(seen),
        version=version(seen),
        around=site().courses.around_lab(lab),
        certificate=certificate(found),
    )


@blueprint.post("/labs/<lab>/start")
@login_required
def start(lab: str) -> BaseResponse:
    """Ask for a cluster."""
    found, sessions = kindling().labs.get(lab), kindling().sessions
    view = sessions.start(current_account().name, found.name, request.form.get("provider") or None)
    sessions.wake(view.id)
    return _after(found, "cluster")


@blueprint.post("/sessions/<session>/check")
@login_required
def check(session: str) -> BaseResponse:
    """Hand in."""
    return _do(session, lambda view: kindling().sessions.check(view.id, current_account().name), "results")


@blueprint.post("/sessions/<session>/hint")
@login_required
def hint(session: str) -> BaseResponse:
    """The next hint of a check."""
    wanted = request.form.get("check") or None
    return _do(session, lambda view: kindling().sessions.hint(view.id, current_account().name, wanted), "hints")


@blueprint.post("/sessions/<session>/reset")
@login_required
def reset(session: str) -> BaseResponse:
    """Back to the lab's starting state."""
    return _do(session, lambda view: kindling().sessions.reset(view.id, current_account().name), "cluster")


@blueprint.post("/sessions/<session>/stop")
@login_required
def stop(session: str) -> BaseResponse:
    """Remove the cluster."""
    return _do(session, lambda view: kindling().sessions.stop(view.id, current_account().name), "cluster")


@blueprint.post("/sessions/<session>/extend")
@login_required
def extend(session: str) -> BaseResponse:
    """Keep the cluster for the full time from now."""
    return _do(session, lambda view: kindling().sessions.extend(view.id, current_account().name), "cluster")


@blueprint.get("/sessions/<session>/kubeconfig")
@login_required
def kubeconfig(session: str) -> Response:
    """The learner's own kubeconfig, to save."""
    sessions = kindling().sessions
    view = sessions.view(session, current_account().name)
    sessions.active(current_account().name, view.lab, "kubeconfig")
    answer = Response(sessions.kubeconfig(session, current_account().name), mimetype="application/yaml")
    answer.headers["Content-Disposition"] = f'attachment; filename="kindling-{view.lab}.yaml"'
    return answer


def _do(session: str, action: Callable[[SessionView], Any], anchor: str) -> BaseResponse:
    sessions = kindling().sessions
    view = sessions.view(session, current_account().name)
    found = kindling().labs.get(view.lab)
    action(view)
    sessions.wake(view.id)
    return _after(found, anchor)


def _after(found: Lab, anchor: str) -> BaseResponse:
    if wants_json():
        return jsonify(change(view_model(current_account(), found)))
    return redirect(url_for("lab.page", lab=found.name, _anchor=anchor))


def _resolve(kind: str, name: str) -> str | None:
    if kind == "lab":
        return url_for("lab.page", lab=name)
    for course in site().courses.courses():
        if course.lesson(name):
            return url_for("lessons.lesson", course=course.slug, lesson=name)
    return None
