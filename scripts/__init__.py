"""Programs: the command line, which puts the parts together, and the demonstration pipeline."""
