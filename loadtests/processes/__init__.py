"""One repeat on several Locust processes: one publisher, divided clients, results added up.

The master owns the schedule and the only publisher; each worker owns some of the clients. All
of them begin at one instant, each by its own clock, and what the workers counted is added up
exactly.
"""
