"""Rate limit checks: how much one client is served, and what the others feel of it."""
