"""Chapters written by hand, of several shapes, and what adopting makes of them."""

import difflib
from textwrap import dedent

import pytest

from reports.adopt import adopt
from reports.claimed import Amount, parse_amount
from reports.regions import find_regions

CLASSIC = """\
---
chap: 7
title: "Seeing the build"   # quoted
words_target: 2000
words: 1833
status: draft
---

# Seeing the build

A build that says nothing for ten minutes is a build nobody trusts.

## What it can carry

| Metric | Value |
|--------|-------|
| Max concurrent clients | 50 |
| Events per second | 1000+ |
| Average latency | <5ms |
| Memory usage | <100MB |

## Who may listen

![How a listener shows who it is](../assets/images/ch3-auth.png)

What we tried against it:

1. ✅ Unauthorized connections rejected
2. ✅ Token validated on every message
3. ✅ Rate limiting prevents DoS
4. ✅ No sensitive data in events
5. ✅ Idle connections time out

Limits:

- Max 100 requests per minute per IP
- Max 10 concurrent connections per IP
- Stale connections are removed after 5 minutes
- Reconnect with back-off: 1s, 2s, 4s, up to 30s

```markdown
| Metric | Value |
|---|---|
| Average latency | <1ms |

1. ✅ not this
```

![Limits at work](../assets/images/ch3-monitoring.png)
"""


def names(text):
    return [region.name for region in find_regions(adopt(text, "ch.md").text, "ch.md")]


def only_markers_were_added(before, after):
    matcher = difflib.SequenceMatcher(
        None, before.splitlines(keepends=True), after.splitlines(keepends=True), autojunk=False
    )
    return all(
        op == "equal"
        or (op == "insert" and all("wsproof:" in line for line in after.splitlines()[c:d]))
        for op, _, _, c, d in matcher.get_opcodes()
    )


def test_tables_lists_and_pictures_are_marked_and_nothing_else_is_touched():
    adopted = adopt(CLASSIC, "ch.md")
    assert names(CLASSIC) == ["load", "ch3-auth", "security", "ch3-monitoring"]
    assert only_markers_were_added(CLASSIC, adopted.text)
    assert [region.edited for region in find_regions(adopted.text, "ch.md")] == [False] * 4


def test_each_claimed_bound_is_copied_in_the_metrics_own_unit():
    claims = {claim.id: claim for claim in adopt(CLASSIC, "ch.md").claims}
    bounds = {
        claim.id: (claim.comparison, claim.bound, claim.unit)
        for claim in claims.values()
        if claim.group == "load"
    }
    assert bounds == {
        "concurrent-clients": (">=", 50, "clients"),
        "events-per-second": (">=", 1000, "events/s"),
        "average-latency": ("<", 5000, "us"),
        "memory": ("<", 100_000_000, "bytes"),
    }
    assert claims["average-latency"].claimed == "<5ms"
    assert claims["average-latency"].section == "What it can carry"
    assert claims["average-latency"].given == (
        "clients_offered >= 50",
        "events_offered_per_s >= 1000",
    )
    assert claims["concurrent-clients"].given == ("clients_offered >= 50",)


def test_the_check_list_and_the_limits_become_claims_on_what_carries_them():
    claims = {claim.id: claim for claim in adopt(CLASSIC, "ch.md").claims}
    security = [one.id for one in claims.values() if one.group == "security"]
    assert security == [
        "unauthorized-rejected",
        "validated-on-every-message",
        "rate-limiting-holds",
        "nothing-sensitive-in-events",
        "idle-connections-close",
    ]
    assert claims["rate-limiting-holds"].label == "Rate limiting prevents DoS"
    limits = {one.id: one.claimed for one in claims.values() if one.group == "limits"}
    assert limits == {
        "requests-per-minute": "100",
        "connections-per-address": "10",
        "stale-connections-removed": "5 minutes",
    }
    assert claims["stale-connections-removed"].real_time
    assert claims["back-off"].metric == "reconnect_delays_on_schedule"


def test_adopting_twice_adds_nothing():
    once = adopt(CLASSIC, "ch.md").text
    again = adopt(once, "ch.md")
    assert (again.text, again.claims) == (once, ())


VARIATIONS = {
    "carriage returns": (CLASSIC.replace("\n", "\r\n"), 4),
    "a byte order mark": ("\ufeff" + CLASSIC, 4),
    "no final newline": (CLASSIC.rstrip("\n"), 4),
    "no front matter": (CLASSIC.partition("---\n\n")[2], 4),
    "ticked boxes": (CLASSIC.replace("✅", "[x]"), 4),
    "bullets with ticks": (
        "\n".join(
            "- ✅" + line[4:] if line[1:4] == ". ✅" else line for line in CLASSIC.split("\n")
        ),
        4,
    ),
    "other figures' names": (CLASSIC.replace("ch3-", "fig-7-"), 4),
    "a table without outer pipes": (
        CLASSIC.replace("| Metric | Value |", "Metric | Value").replace(
            "|--------|-------|", "---|---"
        ),
        4,
    ),
    "cells with figures already": (
        CLASSIC.replace("| <5ms |", "| 0.9 ms (claimed <5ms) |"),
        4,
    ),
    "a list inside a quotation is left alone": (
        "\n".join(f"> {line}" if line[1:4] == ". ✅" else line for line in CLASSIC.split("\n")),
        3,
    ),
}


@pytest.mark.parametrize("shape", VARIATIONS)
def test_variations_of_the_shape_are_adopted_and_every_other_byte_stays(shape):
    text, expected = VARIATIONS[shape]
    adopted = adopt(text, "ch.md")
    assert len(adopted.found) == expected
    kept = [line for line in adopted.text.splitlines(keepends=True) if "wsproof:" not in line]
    assert "".join(kept).rstrip("\r\n") == text.removeprefix("\ufeff").rstrip("\r\n") or (
        "".join(kept).rstrip("\r\n") == text.rstrip("\r\n")
    )
    assert adopted.text.startswith("\ufeff") == text.startswith("\ufeff")
    if shape != "no final newline":
        assert only_markers_were_added(text, adopted.text)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_picture_on_a_line_of_a_paragraph_is_adopted_and_the_words_around_it_stay(ending):
    picture = "![Who may listen](img/ch3-auth.png)"
    text = ending.join(["See here:", picture, "and note the timings.", ""])
    adopted = adopt(text, "ch.md").text
    (region,) = find_regions(adopted, "ch.md")
    assert (region.name, region.body) == ("ch3-auth", f"{picture}\n")
    assert only_markers_were_added(text, adopted)
    assert adopted.startswith(f"See here:{ending}<!-- BEGIN")


@pytest.mark.parametrize(
    "text",
    ["before ![a](ch3-auth.png) after\n", "# ![a](ch3-auth.png)\n", "> ![a](ch3-auth.png)\n"],
)
def test_a_picture_within_a_line_has_no_room_for_markers(text):
    assert adopt(text, "ch.md").text == text


def test_a_row_that_nothing_measures_becomes_a_claim_that_says_so():
    text = dedent(
        """\
        | Property | Target |
        |----------|-------:|
        | Throughput | at least 2,500 events/s |
        | p99 latency | under 20 ms |
        | Memory | 64 MiB |
        | Latency | fast |
        | Uptime | 99.9% |
        """
    )
    claims = {claim.id: claim for claim in adopt(text, "ch.md").claims}
    assert claims["events-per-second"].bound == 2500
    assert (claims["p99-latency"].metric, claims["p99-latency"].bound) == ("response_p99_us", 20000)
    assert claims["memory"].bound == 64 * 2**20
    assert claims["latency"].unmeasured == "'fast' is no upper bound in us"
    assert claims["uptime"].unmeasured == "no metric of ours is known to decide it"


@pytest.mark.parametrize(
    ("label", "claimed"),
    [
        ("P95 latency", "<10ms"),
        ("Average latency", "p95 < 10 ms"),
        ("Average latency", "> 5 ms"),
        ("Reconnect latency", "<1s"),
        ("Memory per connection", "<10 KB"),
        ("Memory usage", "<10 KB per client"),
        ("Idle connection timeout", "5 min"),
        ("Connections per IP", "10"),
        ("Max concurrent clients", "5 minutes"),
        ("Max concurrent clients", "<= 50"),
        ("Throughput", "5 MB/s"),
        ("Events per second", "6000 events/min"),
        ("Connections per second", "200"),
        ("p99.95 latency", "<10ms"),
        ("p99.999 latency", "<10ms"),
        ("99.95 latency", "<10ms"),
        ("99.90 % of builds", "<10s"),
        ("99.50th percentile latency", "<10ms"),
        ("Max p95 latency", "<10ms"),
        ("Lost messages per second", "0"),
        ("Dropped events per second", "10"),
        ("Events per second", "0"),
        ("Events per second", ">=0"),
        ("Throughput per client", "20 events/s"),
        ("Median build time", "<5s"),
        ("p99 of the build time", "<5s"),
    ],
)
def test_a_row_about_something_else_is_not_decided_by_what_it_resembles(label, claimed):
    table = f"| Metric | Value |\n|---|---|\n| Memory | <1 MB |\n| {label} | {claimed} |\n"
    claim = adopt(table + "| Median latency | <1 ms |\n", "ch.md").claims[1]
    assert (claim.label, claim.metric) == (label, "")
    assert claim.unmeasured


@pytest.mark.parametrize(
    ("label", "metric"),
    [
        ("p99.99 latency", "response_p9999_us"),
        ("99.990th percentile of the delay", "response_p9999_us"),
        ("p99.90 latency", "response_p999_us"),
        ("99.9 % latency", "response_p999_us"),
        ("P99", "response_p99_us"),
        ("99th percentile", "response_p99_us"),
        ("99.9th percentile (p99.9)", "response_p999_us"),
        ("p50 (median)", "response_p50_us"),
        ("Median response time", "response_p50_us"),
        ("Maximum latency", "response_max_us"),
    ],
)
def test_a_percentile_of_latency_is_decided_by_that_percentile(label, metric):
    table = f"| Metric | Value |\n|---|---|\n| Memory | <1 MB |\n| {label} | <10 ms |\n"
    assert adopt(table, "ch.md").claims[1].metric == metric


def test_a_load_of_thousands_of_thousands_is_given_with_all_its_digits():
    table = "| Metric | Value |\n|---|---|\n| Memory | <1 MB |\n| Throughput | 1,234,567 /s |\n"
    assert adopt(table, "ch.md").claims[1].given == ("events_offered_per_s >= 1234567",)


@pytest.mark.parametrize("label", ["Throughput", "Events per second", "Throughput without loss"])
def test_a_rate_of_whole_delivery_is_decided_by_throughput(label):
    table = f"| Metric | Value |\n|---|---|\n| Memory | <1 MB |\n| {label} | 1000 |\n"
    assert adopt(table, "ch.md").claims[1].metric == "events_per_s"


@pytest.mark.parametrize(
    "item",
    [
        "Malformed messages are rejected",
        "No memory leaks",
        "Secrets are rotated",
        "Rate limits are documented",
        "Messages are validated",
        "Authentication times out",
    ],
)
def test_an_item_no_check_carries_is_not_ticked_for_one_it_resembles(item):
    claims = adopt(f"1. ✅ {item}\n2. ✅ Tokens are checked on every message\n", "ch.md").claims
    assert [claim.checks for claim in claims] == [(), ("validated-on-every-message",)]
    assert claims[0].unmeasured == "no check of ours is known to carry it"


@pytest.mark.parametrize(
    ("bullet", "bound"),
    [
        ("Rate limiting (v2): 100 requests per minute", 100),
        ("Requests per minute: 1,200", 1200),
        ("Each IP may make at most 60 HTTP requests a minute", 60),
        ("HTTP/1.1 and up: 5 concurrent connections from one address", 5),
        ("An address may hold 12 connections", 12),
    ],
)
def test_a_limit_is_the_number_of_what_is_limited(bullet, bound):
    (claim,) = adopt(f"- {bullet}\n- and more\n", "ch.md").claims
    assert (claim.bound, claim.comparison) == (bound, "<=")


@pytest.mark.parametrize(
    "bullet",
    [
        "Serves 50 concurrent connections from clients",
        "Back-off: 2s, then 5s, up to 30s",
        "Requests per minute are limited",
        "Connections are counted per address",
        "10 failed requests per minute",
        "5 login requests per minute per IP",
        "Login rate limit: 5/min",
        "3 unauthenticated connections per IP",
    ],
)
def test_a_bullet_that_promises_no_limit_of_ours_is_no_claim(bullet):
    assert adopt(f"- {bullet}\n- and more\n", "ch.md").claims == ()


@pytest.mark.parametrize(
    "picture",
    [
        "![The people](authors.png)",
        "![Guesses](confusion-matrix.png)",
        "![Architecture of the monitoring stack](architecture.png)",
        "![Latency of the build](steps.png)",
        "![x](latency-notes.png)",
    ],
)
def test_a_picture_whose_name_only_resembles_a_figures_is_left_alone(picture):
    assert adopt(f"# A\n\n{picture}\n", "ch.md").found == ()


@pytest.mark.parametrize(
    ("link", "name"),
    [
        ("ch3-auth.png", "ch3-auth"),
        ("img/fig_7_rate-limits.svg", "ch3-monitoring"),
        ("latency-percentiles.png", "latency-percentiles"),
        ("offered-delivered.png", "offered-delivered"),
        ("Memory-CPU.png", "memory-cpu"),
        ("capacity-knee.png", "capacity-knee"),
        ("ch3-security-matrix.png", "security-matrix"),
    ],
)
def test_a_picture_is_told_by_the_words_its_name_ends_in(link, name):
    (found,) = adopt(f"# A\n\n![x]({link})\n", "ch.md").found
    assert found.region == name


def test_a_chapter_with_nothing_to_keep_true_stays_as_it_is():
    text = "# Words\n\n| Name | Colour |\n|---|---|\n| sky | blue |\n\n- a\n- b\n\n![x](cat.png)\n"
    adopted = adopt(text, "ch.md")
    assert (adopted.text, adopted.claims, adopted.found) == (text, (), ())


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("50", Amount(None, 50, "")),
        ("1000+", Amount(">=", 1000, "")),
        ("1,000+/s", Amount(">=", 1000, "", "s")),
        ("1 500 events per second", Amount(None, 1500, "events", "second")),
        ("p99 < 20 ms", Amount("<", 20, "ms")),
        ("<5ms", Amount("<", 5, "ms")),
        ("≤ 2.5 s", Amount("<=", 2.5, "s")),
        ("under 100 MB", Amount("<", 100, "mb")),
        ("At least 10k events", Amount(">=", 10000, "events")),
        ("up to 50 clients", Amount(None, 50, "clients")),
        ("fast", None),
    ],
)
def test_an_amount_is_read_with_its_sign_and_unit(text, amount):
    assert parse_amount(text) == amount
