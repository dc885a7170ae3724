"""Flaws of TLS."""

from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant


@mutant(claim=None, caught_by=("TL1",))
def public_without_tls(patch: Patch) -> None:
    """The monitor listens on any address without TLS."""
    patch.text("monitor.settings:_check", "if not (local or", "if not (True or")


@mutant(claim=None, caught_by=("TL2",))
def old_tls_is_spoken(patch: Patch) -> None:
    """TLS 1.0 and 1.1 are spoken, too."""
    patch.text(
        "monitor.server:tls_context",
        "context.minimum_version = ssl.TLSVersion.TLSv1_2",
        'context.minimum_version = ssl.TLSVersion.TLSv1; context.set_ciphers("ALL:@SECLEVEL=0")',
    )
