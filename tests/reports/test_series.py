import numpy as np

from monitor.contract.evidence import RunWriter, load_run
from monitor.contract.tables import RESOURCES
from reports.series import resources
from tests.reports import synthetic


def test_a_process_caught_ending_has_no_memory_rather_than_none_of_it(tmp_path, run_of):
    """The last sample of a process that ends between two readings says zero bytes."""
    record = run_of(synthetic.QUICK).record
    rows = [
        (1, at_s, "target", 1, rss_bytes, None, 10.0, 8, 2)
        for at_s, rss_bytes in ((0.1, 40_000_000), (0.2, 0), (0.3, None))
    ]
    with RunWriter(tmp_path, record.id) as writer:
        writer.write_table(RESOURCES, rows)
        writer.finish(record)
    rss = resources(load_run(tmp_path / record.id)).roles["target"].rss_bytes
    assert rss[0] == 40_000_000
    assert np.isnan(rss[1:]).all()
