"""The security claims as a checklist: ✅ where proven, ❌ where FALSE, ⬜ where UNPROVEN."""

from monitor.contract.verdicts import ClaimVerdict
from reports.passage import passage
from reports.sources import Sources

_SIGN = {ClaimVerdict.TRUE: "✅", ClaimVerdict.FALSE: "❌", ClaimVerdict.UNPROVEN: "⬜"}


@passage
def security(sources: Sources, _body: str) -> str | None:
    """Return the group `security` as a numbered list, what is not TRUE with its reason."""
    found = sources.standings("security")
    if not any(one.run for one in found):
        return None
    lines = []
    for number, one in enumerate(found, 1):
        judgement = one.judgement
        line = f"{number}. {_SIGN[judgement.verdict]} {judgement.claim.label}"
        if judgement.verdict is not ClaimVerdict.TRUE:
            line += f" ({judgement.verdict}: {judgement.reason})"
        lines.append(line)
    return "\n".join(lines) + "\n"
