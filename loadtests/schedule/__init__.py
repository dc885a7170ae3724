"""What is to happen and when: rate curves, moves, the trace replayed, the shared timetable."""
