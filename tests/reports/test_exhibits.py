from reports.exhibits import Section, Table, exhibits
from reports.render_markdown import render_table


def test_every_table_and_figure_is_found_by_itself_in_reading_order():
    found = exhibits()
    order = list(Section)
    assert [order.index(one.section) for one in found] == sorted(
        order.index(one.section) for one in found
    )
    names = [one.name for one in found]
    assert len(names) == len(set(names))
    assert {"claims", "latency", "latency-percentiles", "ch3-auth", "conditions"} <= set(names)


def test_a_cell_cannot_break_the_table_it_stands_in():
    table = Table(("a", "b"), (("x|y", "two\nlines"),), numeric=frozenset({1}), notes=("note",))
    assert render_table(table) == "| a | b |\n| --- | ---: |\n| x\\|y | two lines |\n\nnote"
