"""Adopts a chapter written by hand: claims into its claims file, markers and figures into it."""

import os
import sys
from pathlib import Path

from monitor.contract.verdicts import NoVerdictError
from reports.adopt import Adoption, adopt
from reports.chapter import Composed, compose, read_document, region_names
from reports.chapter import write as write_chapter
from reports.claimsfile import with_claims
from reports.files import write_atomically
from reports.runs import Evidence


def adopt_chapter(file: Path, evidence: Evidence, claims: Path, *, dry_run: bool) -> Composed:
    """Show what adopting would change, and unless `dry_run` do it; then refresh what it can.

    Raises:
        NoVerdictError: there is nothing in the document that could be kept true.
        UsageError: markers are misplaced, or the claims file says otherwise than the document.
    """
    before = read_document(file)
    adoption = adopt(before, str(file))
    if not adoption.found and adoption.text == before:
        raise NoVerdictError(
            f"{file}: found no metric table, check list or picture to adopt; put markers by hand,"
            f" `<!-- BEGIN wsproof:NAME -->` and `<!-- END wsproof:NAME -->`, for one of:"
            f" {', '.join(region_names())}"
        )
    document = os.path.relpath(file.resolve(), claims.resolve().parent)
    text = with_claims(claims, adoption.claims, Path(document).as_posix())
    composed = compose(file, adoption.claims, None, evidence, text=adoption.text, force=True)
    print(composed.diff(), end="")
    _tell(adoption, claims)
    if not dry_run:
        write_atomically(claims, text.encode())
        write_chapter(composed)
    return composed


def _tell(adoption: Adoption, claims: Path) -> None:
    for one in adoption.found:
        print(f"line {one.first + 1}: {one.what} becomes the region {one.region}", file=sys.stderr)
    for claim in adoption.claims:
        decided = claim.unmeasured or ", ".join(claim.checks)
        if claim.metric:
            decided = f"{claim.metric} {claim.comparison} {claim.bound:g} {claim.unit}"
        print(f"{claims}: {claim.id}: {claim.claimed}: {decided}", file=sys.stderr)
