"""Token checks: what a service accepts as proof."""
