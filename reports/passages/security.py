"""The security claims as a checklist: ✅ where proven, ❌ where FALSE, ⬜ where UNPROVEN."""

import re

from monitor.contract.verdicts import ClaimVerdict
from reports.passage import passage
from reports.sources import Sources

_SIGN = {ClaimVerdict.TRUE: "✅", ClaimVerdict.FALSE: "❌", ClaimVerdict.UNPROVEN: "⬜"}


@passage
def security(sources: Sources, body: str) -> str | None:
    """Return the group `security` as a list, what is not TRUE with its reason.

    Numbered, unless a list with bullets stands there already.
    """
    found = sources.standings("security")
    if not any(one.run for one in found):
        return None
    bullet = re.match(r"\s*([-*+]) ", body)
    lines = []
    for number, one in enumerate(found, 1):
        judgement = one.judgement
        lead = bullet[1] if bullet else f"{number}."
        line = f"{lead} {_SIGN[judgement.verdict]} {judgement.claim.label}"
        if judgement.verdict is not ClaimVerdict.TRUE:
            line += f" ({judgement.verdict}: {judgement.reason})"
        lines.append(line)
    return "\n".join(lines) + "\n"
