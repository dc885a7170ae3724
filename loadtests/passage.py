"""How one repeat's schedule was kept: what was due, sent, late, and whose fault lateness was.

Read from the shared timetable after the fact, so that the publisher only stamps.
"""

import numpy as np

from loadtests.accounting.part import interval_edges
from loadtests.results import IntervalPassage, Passage
from loadtests.schedule.timetable import ACKNOWLEDGED, PUSHED_BACK, REFUSED, SENT, Timetable


def review(timetable: Timetable, window_start_ns: int, end: int, tolerance_ns: int) -> Passage:
    """Review the measured events before `end`; a send is late beyond `tolerance_ns`."""
    window = slice(timetable.window_first, max(end, timetable.window_first))
    fate = timetable.fate[window]
    due, sent_ns = timetable.due_ns[window], timetable.sent_ns[window]
    sent = (fate & SENT) > 0
    pushed = (fate & PUSHED_BACK) > 0
    lag = (sent_ns - due)[sent]
    late = (sent_ns - due > tolerance_ns) & sent
    return Passage(
        first=timetable.window_first,
        scheduled=len(fate),
        sent=int(sent.sum()),
        dropped=int((~sent).sum()),
        refused=int(((fate & REFUSED) > 0).sum()),
        acknowledged=int(((fate & ACKNOWLEDGED) > 0).sum()),
        pushed_back=int(pushed.sum()),
        late=int(late.sum()),
        late_ours=int((late & ~pushed).sum()),
        unsent_ours=int((~sent & ~pushed).sum()),
        lag_p99_us=float(np.percentile(lag, 99)) / 1000 if len(lag) else None,
        lag_max_us=float(lag.max()) / 1000 if len(lag) else None,
        intervals=tuple(
            _interval(timetable, low, high)
            for low, high in interval_edges(timetable, window_start_ns, end)
        ),
    )


def _interval(timetable: Timetable, low: int, high: int) -> IntervalPassage:
    sent = (timetable.fate[low:high] & SENT) > 0
    lag = (timetable.sent_ns[low:high] - timetable.due_ns[low:high])[sent]
    return IntervalPassage((low, high), int(sent.sum()), int(lag.max()) if len(lag) else 0)
