import msgspec
import pytest

from monitor.contract.claims import conclusion
from monitor.contract.verdicts import ExitCode, NoVerdictError, UsageError
from reports.runs import Evidence, find_run
from reports.standing import standings, standings_table
from tests.reports import synthetic

OLD, NEW = "20250101-120000-load-chapter-0001", "20250102-120000-load-chapter-0002"


def load_only(claims):
    return [claim for claim in claims if claim.group == "load"]


@pytest.fixture
def root(tmp_path):
    synthetic.write_run(tmp_path, synthetic.QUICK, OLD)
    synthetic.write_empty_run(tmp_path, NEW)
    return tmp_path


def test_the_newest_run_is_found_without_a_name_and_any_by_id_or_folder(root):
    assert find_run(None, root) == root / NEW
    assert find_run(OLD, root) == root / OLD
    assert find_run(str(root / OLD), root) == root / OLD


def test_a_run_that_is_not_there_is_answered_with_the_closest(root):
    with pytest.raises(UsageError, match=f"no such run .* did you mean {OLD}"):
        find_run(OLD.replace("0001", "0003").replace("20250102", "20250101"), root)


def test_no_runs_yet_says_how_to_make_one(tmp_path):
    with pytest.raises(NoVerdictError, match=r"no runs yet; measure first, .* `wsproof load"):
        find_run(None, tmp_path / "runs")


def test_the_newest_run_decides_even_where_an_older_one_pleases_more(root, claims):
    found = standings(load_only(claims), None, Evidence([root]))
    assert {one.run.id for one in found} == {NEW}
    assert {str(one.judgement.verdict) for one in found} == {"UNPROVEN"}
    assert conclusion(one.judgement for one in found) is ExitCode.NO_VERDICT


def test_looking_further_back_for_one_scenario_does_not_replace_the_newest_of_another(root, claims):
    oldest = "20241231-120000-load-soak-0000"
    soak = synthetic.write_run(root, synthetic.QUICK, oldest, scenario="soak")
    later = msgspec.structs.replace(claims[0], id="soak", scenario="soak")
    first, second = standings([claims[0], later], None, Evidence([root]))
    assert (first.run.id, second.run.id) == (NEW, soak.name)


def test_runs_of_another_target_say_nothing_about_this_one(root, claims):
    found = standings(claims, "another service", Evidence([root]))
    assert [one.run for one in found] == [None] * len(claims)
    assert "no run of scenario chapter; make one" in found[0].judgement.reason


def test_a_claim_on_a_scenario_never_run_is_unproven_beside_one_that_was(root, claims):
    soak = msgspec.structs.replace(claims[0], id="soak", scenario="soak")
    first, second = standings([claims[1], soak], None, Evidence([root], {OLD}))
    assert (first.run.id, first.judgement.verdict) == (OLD, "TRUE")
    assert (second.run, second.judgement.verdict) == (None, "UNPROVEN")


def test_the_table_names_the_run_each_row_rests_on(root, claims):
    table = standings_table(standings(load_only(claims), None, Evidence([root], {OLD})))
    assert table.header[-1] == "Evidence"
    assert {row[-1] for row in table.rows} == {f"`{OLD}`"}
