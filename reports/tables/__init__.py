"""The report's tables: one function each, marked with `@table`."""
