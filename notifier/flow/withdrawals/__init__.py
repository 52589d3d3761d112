"""Withdrawals: from a click to the payout report."""
