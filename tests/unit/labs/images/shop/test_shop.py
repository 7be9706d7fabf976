"""``kindling/shop``: one suite, for the program in the image (as processes) and for its simulated twin (as pods)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.doubles.shop import CRASHED, Real, Simulated, Unit, World


@pytest.fixture(params=[Real, Simulated], ids=["image", "simulated"])
def world(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[World]:
    """Where services run."""
    made: World = request.param(tmp_path)
    yield made
    made.close()


def tree(unit: Unit, path: str = "/?detail=1") -> dict[str, Any]:
    """The whole answer of a service."""
    found: dict[str, Any] = json.loads(unit.ask(path)[1])
    return found


def said(unit: Unit) -> tuple[int, str]:
    """Status and line of a page, without who said it."""
    status, text = unit.ask("/")
    found = re.fullmatch(r"(.*) from \S+, version \S+\n", text)
    assert found is not None, text
    return status, found[1]


def test_a_service_alone_says_who_it_is(world: World) -> None:
    unit = world.start("stock", VERSION="2.0")
    assert unit.ask("/") == (200, f"stock ok from {unit.hostname}, version 2.0\n")
    assert unit.ask("/healthz") == (200, "ok\n")
    assert unit.ask("/readyz") == (200, "ready\n")
    assert unit.ask("/deep")[0] == 200
    assert unit.ask("/nothing")[0] == 404
    assert json.loads(unit.ask("/info")[1])["hostname"] == unit.hostname
    assert "GET / 200" in unit.log()


def test_a_graph_is_called_and_every_answer_is_in_the_line_and_in_the_tree(world: World) -> None:
    stock, prices = world.start("stock"), world.start("prices", VERSION="2.0")
    cart = world.start("cart", CALLS=f"stock={stock.url} prices={prices.url}")
    front = world.start("front", CALLS=f"cart={cart.url}", CPU_MS="5", LATENCY_MS="5")
    assert said(front) == (200, "front ok (cart=ok cart/stock=ok cart/prices=ok)")
    found = tree(front)
    assert (found["service"], found["state"], found["hostname"]) == ("front", "ok", front.hostname)
    assert found["ms"] >= 10
    (call,) = found["calls"]
    assert (call["to"], call["how"], call["attempts"], call["error"]) == ("cart", "ok", 1, "")
    assert [one["answer"]["version"] for one in call["answer"]["calls"]] == ["1.0", "2.0"]
    assert json.loads(front.ask("/shop")[1]) == {"service": "front", "version": "1.0", "calls": {"cart": {"ok": 2}}}


def test_what_it_can_do_without_degrades_the_page_and_what_it_cannot_fails_it(world: World) -> None:
    reviews, cart = world.start("reviews"), world.start("cart")
    front = world.start("front", CALLS=f"cart={cart.url} reviews?={reviews.url}")
    above = world.start("above", CALLS=f"front={front.url}")
    reviews.kill()
    assert said(front) == (200, "front degraded (cart=ok reviews=missing)")
    assert said(above) == (200, "above degraded (front=ok front/cart=ok front/reviews=missing)")
    assert tree(front)["calls"][1]["error"] == "refused"
    cart.kill()
    assert said(front) == (503, "front failed (cart=failed)")
    assert said(above) == (503, "above failed (front=failed front/cart=failed)")
    assert tree(above)["calls"][0]["error"] == "status 503"


def test_a_call_is_given_up_in_time_and_tried_again_as_often_as_asked(world: World) -> None:
    slow = world.start("slow")
    front = world.start("front", CALLS=f"slow?={slow.url}", CALL_TIMEOUT_MS="150", CALL_RETRIES="2")
    assert slow.ask("/hang", "POST")[0] == 202
    (call,) = tree(front)["calls"]
    assert (call["how"], call["error"], call["attempts"]) == ("missing", "timeout", 3)


def test_a_fresh_answer_is_not_asked_for_again_and_an_old_one_helps_out(world: World) -> None:
    prices = world.start("prices")
    cached = world.start("cached", CALLS=f"prices={prices.url}", CACHE_SECONDS="600")
    spare = world.start("spare", CALLS=f"prices={prices.url}", STALE_SECONDS="600")
    for unit in (cached, spare):
        assert said(unit)[1].endswith("(prices=ok)")
    before = json.loads(prices.ask("/info")[1])["requests"]
    assert said(cached) == (200, "cached ok (prices=cache)")
    assert json.loads(prices.ask("/info")[1])["requests"] == before + 1
    prices.kill()
    assert said(cached) == (200, "cached ok (prices=cache)")
    assert said(spare) == (200, "spare degraded (prices=stale)")
    assert json.loads(spare.ask("/shop")[1])["calls"] == {"prices": {"ok": 1, "stale": 1}}


def test_what_is_too_old_is_no_answer(world: World) -> None:
    prices = world.start("prices")
    spare = world.start("spare", CALLS=f"prices={prices.url}", CACHE_SECONDS="0.2", STALE_SECONDS="0.3")
    assert said(spare)[1] == "spare ok (prices=ok)"
    prices.kill()
    world.until(lambda: said(spare) == (503, "spare failed (prices=failed)"))
    assert tree(spare)["calls"][0]["answer"] is None


def test_the_graph_comes_from_a_file_and_variables_win(world: World) -> None:
    cart, reviews = world.start("cart"), world.start("reviews")
    graph = {
        "front": {
            "latency_ms": 1,
            "parallel": True,
            "calls": [
                {"to": "cart", "url": cart.url, "timeout_ms": 2000},
                {"to": "reviews", "url": reviews.url, "optional": True, "retries": 1},
            ],
        },
        "cart": {},
    }
    place = world.file(json.dumps(graph))
    assert said(world.start("front", GRAPH=place)) == (200, "front ok (cart=ok reviews=ok)")
    assert said(world.start("front", GRAPH=place, CALLS=f"cart={cart.url}")) == (200, "front ok (cart=ok)")


def test_deep_asks_down_the_graph_and_leaves_out_what_is_optional(world: World) -> None:
    stock, reviews = world.start("stock"), world.start("reviews")
    cart = world.start("cart", CALLS=f"stock={stock.url}")
    front = world.start("front", CALLS=f"cart={cart.url} reviews?={reviews.url}")
    reviews.kill()
    assert front.ask("/deep")[0] == 200
    stock.kill()
    assert front.ask("/deep") == (503, "does not answer: cart (status 503)\n")
    assert front.ask("/readyz") == (200, "ready\n")


def test_a_circle_of_calls_ends(world: World) -> None:
    mine = world.address()
    other = world.start("other", CALLS=f"loop={mine}")
    loop = world.start("loop", at=mine, CALLS=f"other={other.url}")
    assert said(loop) == (503, "loop failed (other=failed other/loop=failed)")
    (call,) = tree(loop)["calls"]
    assert call["answer"]["calls"][0]["error"] == "status 508"


def test_it_is_not_there_while_it_starts(world: World) -> None:
    never = world.start("never", STARTUP_SECONDS="600")
    for path in ("/", "/readyz", "/deep"):
        assert never.ask(path) == (503, "starting\n")
    assert never.ask("/shop")[0] == 200
    late = world.start("late", STARTUP_SECONDS="0.3")
    world.until(lambda: late.ask("/readyz") == (200, "ready\n"))
    assert said(late) == (200, "late ok")


def test_who_answers_with_nonsense_is_no_service(world: World) -> None:
    liar = world.liar(
        '{"service": "cart", "state": ["ok"], "calls": [{"to": 5, "answer": {"calls": 7}}, 3], "ms": NaN}'
    )
    talker = world.liar("Hello")
    front = world.start("front", CALLS=f"cart={liar} other?={talker}")
    assert said(front) == (200, "front degraded (cart=ok cart/= other=missing)")
    assert [one["error"] for one in tree(front)["calls"]] == ["", "bad answer"]


@pytest.mark.parametrize(
    ("environment", "graph", "line"),
    [
        ({"SERVICE": "A b"}, None, "SERVICE must be a name of small letters, digits and dashes, not 'A b'"),
        ({"CPU_MS": "much"}, None, "CPU_MS must be a number from 0 to 60000, not 'much'"),
        ({"CPU_MS": "nan"}, None, "CPU_MS must be a number from 0 to 60000, not 'nan'"),
        ({"CALLS": "cart"}, None, "CALLS must be NAME=URL or NAME?=URL, not 'cart'"),
        ({"CALLS": "a=cart"}, None, "the call of a must have a url that begins with http://, not 'cart'"),
        ({"CALLS": "a=http://a b=http://b:x"}, None, "the call of b must have a url that begins with http://, not "),
        ({"CALLS": "a=http://a a=http://b"}, None, "calls name a service twice"),
        ({"CALLS": "a=http://a", "CALL_RETRIES": "11"}, None, "CALL_RETRIES must be a number from 0 to 10, not '11'"),
        ({"GRAPH": "/nowhere.json"}, None, "GRAPH /nowhere.json cannot be read: No such file or directory"),
        ({}, "[", "GRAPH PLACE is not JSON"),
        ({}, "{}", "GRAPH PLACE has no service it"),
        ({}, '{"it": {"cpu": 5}}', "it has unknown fields: cpu"),
        ({}, '{"it": {"cpu_ms": -1}}', "cpu_ms must be a number from 0 to 60000, not -1"),
        ({}, '{"it": {"calls": [{"to": "a"}]}}', "the call of a must have a url that begins with http://, not None"),
        ({}, '{"it": {"calls": [{"to": "a", "url": "http://a", "tries": 1}]}}', "the call of a has unknown fields: t"),
    ],
)
def test_what_is_not_understood_is_said_in_the_log_and_ends_it(
    world: World, environment: dict[str, str], graph: str | None, line: str
) -> None:
    place = world.file(graph) if graph is not None else ""
    given = {"SERVICE": "it", **environment, **({"GRAPH": place} if place else {})}
    code, log = world.crash(**given)
    assert (code, log.startswith("fatal: " + line.replace("PLACE", place))) == (CRASHED, True), log


def test_memory_that_requests_take_is_never_given_back(world: World) -> None:
    unit = world.start("leaky", LEAK_KB="4096")
    before = unit.memory()
    for _ in range(4):
        assert said(unit)[0] == 200
    assert unit.memory() - before >= 4 * 4096 * 1024 * 0.9


def test_cost_is_processor_time_and_latency_is_not(world: World) -> None:
    costly, idle = world.start("costly", CPU_MS="120"), world.start("idle", LATENCY_MS="120")
    used = []
    for unit in (costly, idle):
        began, before = world.now(), unit.processor_seconds()
        assert said(unit)[0] == 200
        assert world.now() - began >= 0.11
        used.append(unit.processor_seconds() - before)
    assert used[0] >= 0.1 > used[1]


def test_the_web_image_alone_has_no_shop() -> None:
    assert Real.without_the_shop() == (
        2,
        "fatal: unknown arguments ['shop']; use none or: probe\n",
    )
    assert Simulated.without_the_shop() == (2, "fatal: unknown arguments ['shop']; use none or: probe\n")


def test_requests_in_flight_are_finished_at_the_end() -> None:
    # What is written here is the listener's, which both kinds of server share; the shop must not lose it.
    world = Simulated(None)
    unit = world.start("slow", LATENCY_MS="500")
    under_way = unit.begin("/")
    unit.container.stop(30)
    world.bench.clock.advance(0.6)
    assert under_way.result().status == 200
