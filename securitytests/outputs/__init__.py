"""What an audit found, for people and for programs: one format a file, all from the findings."""
