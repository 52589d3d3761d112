"""Digests: runs, stored content, and period totals."""
