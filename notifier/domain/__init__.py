"""Plain frozen values and rules: no I/O, no await, no vendor JSON."""
