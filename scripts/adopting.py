"""Adopts a chapter written by hand: claims into its claims file, markers and figures into it."""

import os
import sys
from pathlib import Path

from monitor.contract.claims import Claim
from monitor.contract.verdicts import NoVerdictError
from reports.adopt import Adoption, adopt
from reports.chapter import Composed, compose, read_document, region_names
from reports.chapter import write as write_chapter
from reports.claimsfile import with_claims
from reports.files import write_atomically
from reports.regions import find_regions
from reports.runs import Evidence
from scripts.carrying import spelled_out

#: Claims, and the target they are about; None where they are about any.
Judges = tuple[tuple[Claim, ...], str | None]


def adopt_chapter(
    file: Path,
    evidence: Evidence,
    claims: Path,
    otherwise: Judges,
    *,
    dry_run: bool,
    force: bool,
) -> Composed:
    """Show what adopting would change, and unless `dry_run` do it; then refresh what it can.

    What is found is judged by the claims file, its claims of old included; where the document
    claims nothing and has no such file, by `otherwise`.

    Raises:
        NoVerdictError: there is nothing in the document that could be kept true.
        UsageError: markers are misplaced, or the claims file says otherwise than the document.
        StaleError: a region that was there already was edited by hand, and `force` is not set.
    """
    before = read_document(file)
    adoption = adopt(before, str(file))
    if not adoption.found and not find_regions(before, str(file)):
        raise NoVerdictError(
            f"{file}: found no metric table, check list or picture to adopt; put markers by hand,"
            f" `<!-- BEGIN wsproof:NAME -->` and `<!-- END wsproof:NAME -->`, for one of:"
            f" {', '.join(region_names())}"
        )
    text, (judging, target) = None, otherwise
    if adoption.claims or claims.is_file():
        document = os.path.relpath(file.resolve(), claims.resolve().parent)
        text, judging = with_claims(claims, adoption.claims, Path(document).as_posix())
        judging, target = spelled_out(judging), None
    composed = compose(file, judging, target, evidence, text=adoption.text, force=force)
    print(composed.diff(), end="")
    _tell(adoption, file, claims)
    if not dry_run:
        if text is not None and adoption.claims:
            write_atomically(claims, text.encode())
        write_chapter(composed)
    return composed


def _tell(adoption: Adoption, file: Path, claims: Path) -> None:
    if not adoption.found:
        print(f"{file}: nothing to adopt beside the regions it has", file=sys.stderr)
    for one in adoption.found:
        print(f"line {one.first + 1}: {one.what} becomes the region {one.region}", file=sys.stderr)
    for claim in adoption.claims:
        decided = claim.unmeasured or ", ".join(claim.checks)
        if claim.metric:
            decided = f"{claim.metric} {claim.comparison} {claim.bound:g} {claim.unit}"
        print(f"{claims}: {claim.id}: {claim.claimed}: {decided}", file=sys.stderr)
