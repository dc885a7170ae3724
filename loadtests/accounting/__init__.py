"""What came: each subscriber's ledger, latencies, fan-out, and how they add up in one process."""
