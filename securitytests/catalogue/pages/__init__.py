"""Page checks: what is answered over HTTP, to whom, and what a browser may do with it."""
