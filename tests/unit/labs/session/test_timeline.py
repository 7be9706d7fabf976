"""What happened while a check was graded, from its evidence: times, arithmetic, sentences."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labs.session import timelines
from labs.session.story import place, sentence
from labs.session.timeline import MARKS, POINTS, SENTENCES, timeline
from tests.doubles.damage import broken


def traffic(seconds: float, windows: list[list[float | None]], **more: Any) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "what": "traffic",
        "url": "http://web/",
        "requests": 40,
        "counted": {"200": 37, "refused": 2, "503": 1},
        "by_host": {"web-a": 20, "web-b": 17},
        "window": 0.5,
        "windows": windows,
        **more,
    }


FAULT = {"seconds": 2.0, "what": "fault", "fault": "delete-pod", "target": "web-a", "at": 1000.0, "uid": "u"}
WINDOWS: list[list[float | None]] = [[0.0, 10, 0, 1.0, 2.0, 2], [0.5, 10, 3, 1.0, 9.0, 1], [1.0, 20, 0, 1.0, 2.0, 2]]


class TestTimes:
    def test_traffic_is_where_it_began(self) -> None:
        seen = timeline([FAULT, traffic(4.0, WINDOWS, **{"from": 1.0})])
        assert seen is not None
        assert [(one.start, one.sent, one.failed, one.hosts) for one in seen.bars] == [
            (1.0, 10, 0, 2),
            (1.5, 10, 3, 1),
            (2.0, 20, 0, 2),
        ]
        assert seen.seconds == 4.0
        assert [(one.at, one.number) for one in seen.steps] == [(1.0, 0), (2.0, 1)]

    def test_evidence_from_before_times_were_kept_ends_where_it_was_written(self) -> None:
        rows = [[0.0, 1.0, 200, "a", "1.0"], [1.0, 1.0, "refused", "", ""], [1.1, 2.0, 200, "a", "1.0"]]
        old = {"seconds": 5.0, "what": "traffic", "url": "http://web/", "counted": {}, "rows": rows}
        seen = timeline([old])
        assert seen is not None
        assert sum(one.sent for one in seen.bars) == 3
        assert sum(one.failed for one in seen.bars) == 1
        assert 3.5 <= seen.bars[0].start <= 4.0

    def test_several_flows_are_one_line_of_time(self) -> None:
        one = traffic(3.0, [[0.0, 10, 0, 1.0, 2.0, 2]], **{"from": 1.0})
        seen = timeline([one, {**one, "what": "load", "windows": [[0.0, 5, 5, None, None, 0]]}])
        assert seen is not None
        assert [(bar.start, bar.sent, bar.failed, bar.ms, bar.hosts) for bar in seen.bars] == [(1.0, 15, 5, 2.0, 2)]

    @pytest.mark.parametrize("width", [0.5, 60.0])
    def test_however_long_it_took_it_is_drawn_with_as_few_points(self, width: float) -> None:
        long = traffic(
            500 * width, [[at * width, 1, 0, 1.0, 1.0, 1] for at in range(500)], window=width, **{"from": 0.0}
        )
        seen = timeline([long])
        assert seen is not None
        assert len(seen.bars) <= POINTS + 1
        assert sum(one.sent for one in seen.bars) == 500

    def test_single_requests_are_drawn_only_where_nothing_flows(self) -> None:
        asked = {**traffic(1.0, [[0.0, 7, 0, 1.0, 1.0, 1]]), "what": "requests", "from": 0.5}
        alone = timeline([asked])
        beside = timeline([asked, traffic(4.0, WINDOWS, **{"from": 1.0})])
        assert alone is not None
        assert beside is not None
        assert [one.sent for one in alone.bars] == [7]
        assert sum(one.sent for one in beside.bars) == 40

    def test_replicas_of_a_series(self) -> None:
        rows = [[0.0, 3, 2, 0, 3, None], [4.0, 4, 4, 0, 3, 12.0]]
        columns = ["seconds", "replicas", "ready", "restarts", "nodes", "ms"]
        seen = timeline(
            [{"seconds": 9.0, "from": 2.0, "what": "series", "selector": "a=b", "columns": columns, "rows": rows}]
        )
        assert seen is not None
        assert [(one.at, one.replicas, one.ready) for one in seen.samples] == [(2.0, 3, 2), (6.0, 4, 4)]
        assert seen.steps[0].text == "While it watched the pods a=b, 2 to 4 of them were ready."


class TestSentences:
    @pytest.mark.parametrize(
        ("entry", "told"),
        [
            (FAULT, "The grader deleted pod web-a."),
            ({"what": "fault", "fault": "fill-disk", "target": "n"}, "The grader injected the fault fill-disk: n."),
            ({"what": "scale", "deployment": "web", "replicas": 1}, "The grader scaled web to 1 replica."),
            ({"what": "scale", "deployment": "web", "replicas": 3}, "The grader scaled web to 3 replicas."),
            (
                {"what": "set image", "deployment": "web", "image": "kindling/web:2.0"},
                "The grader rolled web out with the image kindling/web:2.0.",
            ),
            (
                traffic(1.0, WINDOWS),
                "Traffic flowed to web: 40 requests, 3 failed (1 status 503, 2 refused), by 2 replicas.",
            ),
            (
                {
                    **traffic(1.0, WINDOWS),
                    "what": "load",
                    "connections": 8,
                    "phases": [{"rate": 5, "to": 5}, {"rate": 5, "to": 50}],
                    "counted": {"200": 40},
                    "by_version": {"1.0": 30, "2.0": 10},
                    "ms": {"p95": 12.4},
                },
                "Load on web over 8 kept-alive connections, 5, then 5 to 50 a second: 40 requests, all "
                "answered, by 2 replicas in the versions 1.0 (30) and 2.0 (10), 95 % of the good ones within 12 ms.",
            ),
            (
                {"what": "request", "method": "GET", "url": "http://web/", "answer": 'status 200, "Hi"', "looks": 9},
                'GET web: status 200, "Hi". (The last of 9 times.)',
            ),
            (
                {"what": "call", "who": "anna", "method": "GET", "url": "/api", "status": 403, "reason": "Forbidden"},
                "GET /api as anna was answered 403 Forbidden.",
            ),
            (
                {"what": "leaving", "pods": ["web-a"], "after": 3, "requests": 8, "counted": {"200": 4, "refused": 4}},
                "Pods that were being taken away (web-a) were asked at their own addresses for 3 seconds: 8 requests, "
                "4 failed (4 refused).",
            ),
            ({"what": "leaving", "pods": [], "after": 3, "requests": 0, "counted": {}}, ""),
            ({"what": "collateral", "touched": ["Pod a/b"]}, "What was healthy and was touched: Pod a/b."),
            ({"what": "collateral", "touched": []}, "What was healthy and was touched: nothing."),
            ({"what": "access review", "who": "anna", "url": "get pods", "allowed": False}, "anna may not get pods."),
            (
                {"what": "matrix", "pairs": [{"source": "a", "reached": True}, {"source": "b", "reached": False}]},
                "2 connections tried from 2 pods of the grader's: 1 came through, 1 did not.",
            ),
            ({"what": "the answer that would be right", "seconds": 1.0, "answer": 42}, ""),
        ],
    )
    def test_each_is_told(self, entry: dict[str, Any], told: str) -> None:
        assert sentence(entry) == told

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("http://web.default.svc.cluster.local:80/", "web.default"),
            ("http://web.default.svc.cluster.local:8080/readyz", "web.default:8080/readyz"),
            ("http://10.244.0.7:8080/", "10.244.0.7:8080"),
            ("http://web/", "web"),
        ],
    )
    def test_where_a_request_went(self, url: str, shown: str) -> None:
        assert place(url) == shown

    def test_what_is_looked_at_again_and_again_is_told_once(self) -> None:
        asked = {"what": "request", "method": "GET", "url": "http://web/"}
        seen = timeline(
            [
                {**asked, "seconds": 1.0, "answer": "status 503"},
                {**asked, "seconds": 2.0, "answer": "status 503", "looks": 4},
                {**asked, "seconds": 3.0, "answer": "status 200"},
                {**asked, "seconds": 4.0, "answer": "status 404", "url": "http://web/x"},
            ]
        )
        assert seen is not None
        assert [one.text for one in seen.steps] == [
            "GET web: status 200. (The last of 5 times.)",
            "GET web/x: status 404.",
        ]

    def test_also_in_turn_with_other_looks_and_whatever_their_nonce(self) -> None:
        turns = [
            entry
            for at in range(5)
            for entry in (
                {"seconds": at, "what": "requests", "url": f"http://web/?{at}", "requests": 6, "counted": {"200": 6}},
                {
                    "seconds": at,
                    "what": "received",
                    "url": "http://web/",
                    "requests": 6,
                    "by": {"a": at},
                    "elsewhere": 1,
                },
            )
        ]
        seen = timeline([*turns, FAULT, *turns[:2]])
        assert seen is not None
        assert sorted(one.text for one in seen.steps) == [
            "6 requests to web: all answered.",
            "6 requests to web: all answered. (The last of 5 times.)",
            "Of 6 requests to web, a received 0, something else answered 1.",
            "Of 6 requests to web, a received 4, something else answered 1. (The last of 5 times.)",
            "The grader deleted pod web-a.",
        ]

    def test_an_authors_own_numbers_do_not_make_it_longer(self) -> None:
        seen = timeline([FAULT, {"seconds": 9000, "what": "all is well"}])
        assert seen is not None
        assert seen.seconds == 2.0

    def test_an_authors_own_evidence_is_not_for_learners(self) -> None:
        assert timeline([{"seconds": 1.0, "what": "expected", "value": "secret"}]) is None

    def test_marks_are_counted_and_bounded(self) -> None:
        seen = timeline([{**FAULT, "seconds": float(at)} for at in range(60)])
        assert seen is not None
        assert [one.number for one in seen.marks] == list(range(1, MARKS + 1))
        assert (len(seen.steps), seen.left_out) == (SENTENCES, 20)

    def test_checks_by_name(self) -> None:
        assert list(timelines([("a", [FAULT]), ("b", None), ("c", [])])) == ["a"]


ODD = st.sampled_from([None, [], {}, [None], "", "x\x1b[31m\u202e<b>", 0, -1, True, 1e308, float("inf"), "1e9", [[]]])


@given(st.randoms(use_true_random=False), ODD)
@settings(max_examples=300, deadline=None)
def test_whatever_is_stored_can_be_shown(chance: random.Random, part: Any) -> None:
    columns = ["seconds", "replicas", "ready", "restarts", "nodes", "ms"]
    series = {"seconds": 9.0, "what": "series", "columns": columns, "rows": [[0.0, 3, 2, 0, 3, None]]}
    seen = timeline(broken([FAULT, traffic(4.0, WINDOWS), series], chance, part))
    if seen is not None:
        assert 0 <= seen.seconds < 1e13
        assert len(seen.bars) <= POINTS + 1
        assert all("\x1b" not in one.text and "\n" not in one.text for one in seen.steps)
