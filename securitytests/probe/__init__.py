"""The raw probe: opens TCP from a chosen address, sends any bytes, and notes what comes back.

It uses no WebSocket library and shares no code with any service, so that it can break every rule
of the protocol and does not share a service's mistakes. What it receives is bounded: a hostile
service cannot make it wait or grow without end.
"""
