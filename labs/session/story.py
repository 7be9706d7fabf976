"""What the grader did, in sentences: one for each thing it did or measured, made from a check's evidence.

It tells what happened and what came of it, never what would have been right. Of what it does not know (an author's own
evidence) it says nothing: that is for instructors. What evidence says comes in part from learners: it is shortened, and
made plain, and is still only text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from grader.shapes import Fields, fields, rows, whole
from grader.text import one_line

CHARACTERS = 140
"""Of one name or URL in a sentence."""
FAULTS = {
    "kill-container": "killed the first process of {}",
    "delete-pod": "deleted pod {}",
    "freeze-container": "froze container {}",
    "hang": "made pod {} accept connections and answer none",
    "stop-node": "stopped node {}",
    "pause-node": "froze node {}",
    "start-node": "started node {} again",
    "cut-node": "cut node {} off the network",
    "fill-node": "filled the memory of node {}",
    "slow-node": "slowed node {} down",
    "stop-component": "stopped {}",
    "start-component": "started {} again",
    "stop-controller": "stopped the controller {}",
    "slow-path": "delayed what goes from pod to pod ({})",
    "lossy-path": "lost packets that go from pod to pod ({})",
    "take-away": "took {} away",
}
ANSWERS = {
    "refused": "refused",
    "timeout": "without an answer in time",
    "reset": "broken off",
    "unreachable": "unreachable",
    "name not found": "to an unknown name",
    "bad answer": "with an answer that is not HTTP",
}


def sentence(entry: Fields) -> str:
    """What one entry of evidence tells; "" when it is not known here."""
    told = _TELL.get(str(entry.get("what")))
    return told(entry) if told else ""


def number(value: object) -> float | None:
    """A finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e12 < value < 1e12:
        return None
    return float(value)


def text(value: object) -> str:
    """A name as it stands in a sentence."""
    return one_line(str(value), CHARACTERS)


def place(url: object) -> str:
    """Where a URL leads, as short as it is clear: ``web.default`` for the address of a Service."""
    host, _, path = text(url).partition("?")[0].removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    shown = name.removesuffix(".svc.cluster.local") + (f":{port}" if port not in ("", "80") else "")
    return f"{shown}/{path}" if path else shown


def action(entry: Fields) -> str:
    """What the grader did to the cluster, without "The grader"; "" for what only looks."""
    told = _ACT.get(str(entry.get("what")))
    return told(entry) if told else ""


def _fault(entry: Fields) -> str:
    name, target = str(entry.get("fault")), text(entry.get("target") or "")
    return FAULTS[name].format(target) if name in FAULTS else f"injected the fault {text(name)}: {target}"


_ACT: Mapping[str, Callable[[Fields], str]] = {
    "fault": _fault,
    "scale": lambda one: f"scaled {text(one.get('deployment'))} to {_count(one.get('replicas'), 'replica')}",
    "set image": lambda one: f"rolled {text(one.get('deployment'))} out with the image {text(one.get('image'))}",
    "patch": lambda one: f"changed the Deployment {text(one.get('deployment'))}",
    "rollout undo": lambda one: f"undid the rollout of {text(one.get('deployment'))}",
}


def _acted(entry: Fields) -> str:
    return f"The grader {action(entry)}."


def _request(entry: Fields) -> str:
    return f"{text(entry.get('method'))} {place(entry.get('url'))}: {text(entry.get('answer'))}.{_looks(entry)}"


def _requests(entry: Fields) -> str:
    return f"{_sent(entry)} to {place(entry.get('url'))}: {_outcome(entry)}.{_looks(entry)}"


def _received(entry: Fields) -> str:
    by = [f"{text(name)} received {whole(count)}" for name, count in sorted(fields(entry.get("by")).items())]
    elsewhere = whole(entry.get("elsewhere"))
    said = [*by[:10], f"something else answered {elsewhere}"] if elsewhere else by[:10]
    return f"Of {_sent(entry)} to {place(entry.get('url'))}, {', '.join(said) or 'no pod received any'}.{_looks(entry)}"


def _collateral(entry: Fields) -> str:
    touched = entry.get("touched")
    names = [text(one) for one in touched[:5]] if isinstance(touched, list) else []
    return f"What was healthy and was touched: {', '.join(names) or 'nothing'}."


def _traffic(entry: Fields) -> str:
    return f"Traffic flowed to {place(entry.get('url'))}: {_sent(entry)}, {_outcome(entry)}."


def _load(entry: Fields) -> str:
    rates = [_rate(one) for one in rows(entry.get("phases"))]
    kept = whole(entry.get("connections"))
    over = f" over {_count(kept, 'kept-alive connection')}" if kept else ""
    return (
        f"Load on {place(entry.get('url'))}{over}, {', then '.join(rates)} a second: {_sent(entry)}, {_outcome(entry)}."
    )


def _rate(phase: Fields) -> str:
    first, last = number(phase.get("rate")) or 0.0, number(phase.get("to"))
    return f"{first:g}" if last is None or last == first else f"{first:g} to {last:g}"


def _sent(entry: Fields) -> str:
    return _count(entry.get("requests"), "request")


def _outcome(entry: Fields) -> str:
    """``3 failed (2 refused, 1 status 503)``, or who answered."""
    bad = [
        f"{whole(count)} {ANSWERS.get(key, f'status {text(key)}' if key.isdigit() else text(key))}"
        for key, count in sorted(fields(entry.get("counted")).items())
        if not key.isdigit() or int(key) >= 400
    ]
    counts = fields(entry.get("counted"))
    failed = sum(whole(count) for key, count in counts.items() if not key.isdigit() or int(key) >= 400)
    said = f"{failed} failed ({', '.join(bad)})" if failed else "all answered" if counts else "nothing came of them"
    hosts, versions = fields(entry.get("by_host")), fields(entry.get("by_version"))
    if hosts:
        said += f", by {_count(len(hosts), 'replica')}"
    if len(versions) > 1:
        said += " in the versions " + " and ".join(
            f"{text(name)} ({whole(versions[name])})" for name in sorted(versions)
        )
    p95 = number(fields(entry.get("ms")).get("p95"))
    return said + (f", 95 % of the good ones within {p95:.0f} ms" if p95 is not None and p95 >= 1 else "")


def _looks(entry: Fields) -> str:
    looks = whole(entry.get("looks"))
    return f" (The last of {looks} times.)" if looks else ""


def _count(value: object, one: str) -> str:
    found = number(value)
    return f"{'?' if found is None else f'{found:g}'} {one}{'' if found == 1 else 's'}"


def _series(entry: Fields) -> str:
    columns = entry.get("columns")
    samples = entry.get("rows")
    at = columns.index("ready") if isinstance(columns, list) and "ready" in columns else -1
    ready = [one[at] for one in samples if isinstance(one, list) and at < len(one)] if isinstance(samples, list) else []
    seen = [found for one in ready if (found := number(one)) is not None] if at >= 0 else []
    if not seen:
        return f"The pods {text(entry.get('selector'))} could not be watched."
    least, most = min(seen), max(seen)
    between = f"{least:g} to {most:g}" if least != most else f"{most:g}"
    return f"While it watched the pods {text(entry.get('selector'))}, {between} of them were ready."


def _leaving(entry: Fields) -> str:
    pods = entry.get("pods")
    names = [text(one) for one in pods[:5]] if isinstance(pods, list) else []
    if not names:
        return ""
    asked = f"were asked at their own addresses for {_count(entry.get('after'), 'second')}"
    return f"Pods that were being taken away ({', '.join(names)}) {asked}: {_sent(entry)}, {_outcome(entry)}."


def _matrix(entry: Fields) -> str:
    pairs = rows(entry.get("pairs"))
    through = sum(one.get("reached") is True for one in pairs)
    sources = {text(one.get("source")) for one in pairs}
    return (
        f"{_count(len(pairs), 'connection')} tried from {_count(len(sources), 'pod')} of the grader's: "
        f"{through} came through, {len(pairs) - through} did not."
    )


def _call(entry: Fields) -> str:
    reason = f" {text(entry.get('reason'))}" if entry.get("reason") else ""
    what = f"{text(entry.get('method'))} {text(entry.get('url'))} as {text(entry.get('who'))}"
    return f"{what} was answered {whole(entry.get('status'))}{reason}."


def _review(entry: Fields) -> str:
    may = "may" if entry.get("allowed") is True else "may not"
    return f"{text(entry.get('who'))} {may} {text(entry.get('url'))}."


_TELL: Mapping[str, Callable[[Fields], str]] = {
    **dict.fromkeys(_ACT, _acted),
    "request": _request,
    "requests": _requests,
    "traffic": _traffic,
    "load": _load,
    "received": _received,
    "collateral": _collateral,
    "series": _series,
    "leaving": _leaving,
    "matrix": _matrix,
    "call": _call,
    "access review": _review,
}
