"""Frame and payload checks: what RFC 6455 forbids, and what must stay bounded."""
