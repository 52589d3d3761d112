"""Engine: connection, writer thread, process lock, and integrity checks."""
