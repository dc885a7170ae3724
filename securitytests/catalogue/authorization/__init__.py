"""Authorization checks: what a good token does not allow."""
