from reports.exhibits import Section, Table, exhibits
from reports.render_markdown import render_table


def test_every_table_and_figure_is_found_by_itself_in_reading_order():
    assert [(found.section, found.kind, found.name) for found in exhibits()] == [
        (Section.CLAIMS, "table", "claims"),
        (Section.LATENCY, "figure", "latency-percentiles"),
        (Section.LATENCY, "table", "latency"),
        (Section.LATENCY, "table", "repeats"),
        (Section.DELIVERY, "figure", "throughput"),
        (Section.DELIVERY, "table", "delivery"),
        (Section.RESOURCES, "figure", "memory"),
        (Section.RESOURCES, "table", "resources"),
        (Section.PROVENANCE, "table", "provenance"),
    ]


def test_a_cell_cannot_break_the_table_it_stands_in():
    table = Table(("a", "b"), (("x|y", "two\nlines"),), numeric=frozenset({1}), notes=("note",))
    assert render_table(table) == "| a | b |\n| --- | ---: |\n| x\\|y | two lines |\n\nnote"
