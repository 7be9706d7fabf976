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
from webapp.guard import signed_in
from webapp.lab.desk import FRAGMENTS, change, desk, fragments, version
from webapp.lessons.outline import lab_state
from webapp.site import kindling, me, me_or_none, site
from webapp.trouble import wants_json

blueprint = Blueprint("lab", __name__)


@blueprint.get("/labs/")
def index() -> str:
    """Every lab."""
    services, account = kindling(), me_or_none()
    rows = [(lab, *lab_state(services, account, lab)) for lab in services.labs.all()]
    return render_template("lab/index.html", rows=rows, problems=services.labs.problems())


@blueprint.get("/labs/<lab>/")
@signed_in
def page(lab: str) -> str:
    """Instructions beside status."""
    account, found = me(), kindling().labs.get(lab)
    kindling().sessions.active(account.name, found.name, "page")
    seen = desk(account, found)
    instructions = render_page(without_title(found.instructions(seen.parameters)), _resolve, found.folder)
    return render_template(
        "lab/page.html",
        lab=found,
        desk=seen,
        instructions=instructions,
        fragments=fragments(seen),
        fragment_names=FRAGMENTS,
        version=version(seen),
        around=site().courses.around_lab(lab),
    )


@blueprint.post("/labs/<lab>/start")
@signed_in
def start(lab: str) -> BaseResponse:
    """Ask for a cluster."""
    found, sessions = kindling().labs.get(lab), kindling().sessions
    view = sessions.start(me().name, found.name, request.form.get("provider") or None)
    sessions.wake(view.id)
    return _after(found, "cluster")


@blueprint.post("/sessions/<session>/check")
@signed_in
def check(session: str) -> BaseResponse:
    """Hand in."""
    return _do(session, lambda view: kindling().sessions.check(view.id, me().name), "results")


@blueprint.post("/sessions/<session>/hint")
@signed_in
def hint(session: str) -> BaseResponse:
    """The next hint of a check."""
    wanted = request.form.get("check") or None
    return _do(session, lambda view: kindling().sessions.hint(view.id, me().name, wanted), "hints")


@blueprint.post("/sessions/<session>/reset")
@signed_in
def reset(session: str) -> BaseResponse:
    """Back to the lab's starting state."""
    return _do(session, lambda view: kindling().sessions.reset(view.id, me().name), "cluster")


@blueprint.post("/sessions/<session>/stop")
@signed_in
def stop(session: str) -> BaseResponse:
    """Remove the cluster."""
    return _do(session, lambda view: kindling().sessions.stop(view.id, me().name), "cluster")


@blueprint.post("/sessions/<session>/extend")
@signed_in
def extend(session: str) -> BaseResponse:
    """Keep the cluster for the full time from now."""
    return _do(session, lambda view: kindling().sessions.extend(view.id, me().name), "cluster")


@blueprint.get("/sessions/<session>/kubeconfig")
@signed_in
def kubeconfig(session: str) -> Response:
    """The learner's own kubeconfig, to save."""
    sessions = kindling().sessions
    view = sessions.view(session, me().name)
    sessions.active(me().name, view.lab, "kubeconfig")
    answer = Response(sessions.kubeconfig(session, me().name), mimetype="application/yaml")
    answer.headers["Content-Disposition"] = f'attachment; filename="kindling-{view.lab}.yaml"'
    return answer


def _do(session: str, action: Callable[[SessionView], Any], anchor: str) -> BaseResponse:
    sessions = kindling().sessions
    view = sessions.view(session, me().name)
    found = kindling().labs.get(view.lab)
    action(view)
    sessions.wake(view.id)
    return _after(found, anchor)


def _after(found: Lab, anchor: str) -> BaseResponse:
    if wants_json():
        return jsonify(change(desk(me(), found)))
    return redirect(url_for("lab.page", lab=found.name, _anchor=anchor))


def _resolve(kind: str, name: str) -> str | None:
    if kind == "lab":
        return url_for("lab.page", lab=name)
    for course in site().courses.courses():
        if course.lesson(name):
            return url_for("lessons.lesson", course=course.slug, lesson=name)
    return None
