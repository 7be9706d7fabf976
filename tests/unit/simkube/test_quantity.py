"""Quantities in the form in which they are stored."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkube.apimachinery.quantity import QuantityError, canonical, parse


@pytest.mark.parametrize(
    ("given_text", "stored"),
    [
        ("0.5", "500m"),
        ("0.1", "100m"),
        ("1", "1"),
        ("1000m", "1"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1000Ki", "1000Ki"),
        ("1Ki", "1Ki"),
        ("0.5Ki", "512"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("0", "0"),
        ("-5m", "-5m"),
        ("+3", "3"),
        ("1n", "1n"),
        ("0.1n", "1n"),
        (".5", "500m"),
        ("1e30", "9223372036854775807"),
        ("1e400", "9223372036854775807"),
        ("-99Ei", "-9223372036854775807"),
    ],
)
def test_canonical(given_text: str, stored: str) -> None:
    assert canonical(given_text) == stored
    assert canonical(stored) == stored


@pytest.mark.parametrize("text", ["", "64 megs", "abc", "1..5", "--1", "1Q", "1mm", "1e", "Ki", "1" * 200, "1e99999"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(QuantityError):
        canonical(text)


def test_the_refusal_is_that_of_kubernetes() -> None:
    with pytest.raises(QuantityError) as refused:
        canonical("64 megs")
    wanted = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    assert str(refused.value) == wanted


@given(st.integers(-(10**12), 10**12), st.sampled_from(["n", "u", "m", "", "k", "M", "Ki", "Mi", "Gi"]))
def test_the_value_is_kept(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    assert parse(canonical(text)) == parse(text)


def test_parse() -> None:
    assert parse("250m") == Fraction(1, 4)
    assert parse("2Ki") == 2048
    assert parse("2e2") == 200
