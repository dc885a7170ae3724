"""The report's figures: one function each, marked with `@figure`."""
