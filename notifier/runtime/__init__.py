"""Runtime: builds the running program from the configuration, starts it and stops it."""
