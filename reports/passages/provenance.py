"""One line that says where and when a document's load figures were made."""

from reports.passage import passage
from reports.sources import Sources
from reports.wording import plural, quantity


@passage
def provenance(sources: Sources, _body: str) -> str | None:
    """Return the line on the newest run of the chapter's load."""
    dossier = sources.dossier("chapter")
    if dossier is None:
        return None
    record, came = dossier.record, dossier.record.provenance
    seconds = sum(repeat.window_s for repeat in record.repeats)
    return (
        f"*Measured {came.started_at[:10]}, {plural(len(record.repeats), 'repeat')} of"
        f" {seconds / max(len(record.repeats), 1):g} s, on {plural(came.cpu_count, 'logical CPU')}"
        f" of {came.cpu_model}, {quantity(came.memory_bytes, 'bytes')} of memory, {came.kernel},"
        f" {came.python}; run `{record.id}` is {record.verdict}, commit"
        f" `{(came.commit or 'none')[:12]}`.*\n"
    )
