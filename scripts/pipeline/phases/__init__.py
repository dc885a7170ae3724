"""The phases, one module and one function each. `scripts.pipeline.run` puts them in order."""
