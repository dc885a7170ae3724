"""Cost of redaction per free-text field; the figures stand in docs/methodology.md."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from monitor.redaction import Redactor, neutralise, redact

CLEAN = "writing chapter 7 of 12: sections outlined, links checked ok"
PATH = "out/chapters/01-introduction/overview.md"
SECRET = "login of alice@example.com failed with password=hunter2 at db"


@pytest.mark.parametrize("text", [CLEAN, PATH, SECRET], ids=["clean", "path", "secret"])
def test_redacting_one_field(benchmark: BenchmarkFixture, text: str) -> None:
    benchmark(redact, text)


def test_neutralising_a_clean_field(benchmark: BenchmarkFixture) -> None:
    assert benchmark(neutralise, CLEAN) == CLEAN


def test_redacting_the_clean_fields_of_one_publisher_in_turn(benchmark: BenchmarkFixture) -> None:
    """What a split secret could hide in is looked through: each field with what came before it."""
    assert benchmark(Redactor().redact, CLEAN) == (CLEAN, 0)
