"""Command line: parses arguments, calls the operations, and maps errors to exit codes."""
