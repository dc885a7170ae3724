"""The publisher: a process of its own that sends each event when it is due."""
