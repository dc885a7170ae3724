"""Locust scenarios that measure publish-to-delivery latency, throughput, loss and memory."""
