"""`wsproof explain`: what a scenario or a claim is about, and what decides it."""

import resource

import pytest

from loadtests.scenarios import discover
from scripts.wsproof import run


@pytest.fixture
def explain(capsys):
    def explained(name):
        code = run(["explain", name])
        said = capsys.readouterr()
        return code, said.out + said.err

    return explained


@pytest.mark.parametrize("name", discover())
def test_a_scenario_says_what_it_offers_needs_and_proves(explain, name):
    scenario = discover()[name]
    code, said = explain(name)
    assert code == 0
    assert said.startswith(f"{name}: {scenario.title()}")
    assert f"offers: {scenario.clients:,} clients" in said
    assert all(key in said for key in (*scenario.needs, *scenario.proves))
    assert f"repeats: {scenario.repeats}: {scenario.once}" in said
    assert said.endswith(f"repeat: wsproof load {name}\n")


def test_a_scenario_names_the_claims_that_rest_on_it(explain):
    _, said = explain("chapter")
    assert (
        "claims: concurrent-clients, events-per-second, average-latency, memory\n"
        "judged: its claims; what flags or the profile add\n"
    ) in said


def test_a_scenario_is_explained_where_there_is_no_room_to_run_it(explain):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (discover()["connect-storm"].clients, hard))
    try:
        code, said = explain("connect-storm")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert code == 0, said


@pytest.mark.parametrize(
    ("claim", "lines"),
    [
        (
            "memory",
            [
                "true if:  target_rss_peak_bytes < 100,000,000 bytes",
                "requires: target_deaths == 0; clients_refused == 0",
                "given:    clients_offered >= 50; events_offered_per_s >= 1000",
                "measure:  wsproof load chapter",
            ],
        ),
        ("back-off", ["measure:  make protocol"]),
        ("stale-connections-removed", ["true if:  these checks pass: CN3, CN4, ID1, ID2"]),
    ],
)
def test_a_claim_says_what_makes_it_true_and_what_measures_it(explain, claim, lines):
    code, said = explain(claim)
    assert code == 0
    assert set(lines) <= set(said.splitlines())


def test_what_nobody_knows_is_answered_with_where_to_look(explain):
    code, said = explain("xyz")
    assert code == 2
    assert "`wsproof load --list`" in said


@pytest.mark.parametrize(
    ("name", "closest"),
    [("chaptre", "chapter"), ("SE22", "SE2"), ("se", "SE1"), ("memmory", "memory")],
)
def test_a_name_that_is_nearly_right_is_answered_with_the_closest(explain, name, closest):
    code, said = explain(name)
    assert code == 2
    assert f"did you mean {closest}?" in said
