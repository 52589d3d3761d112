"""Flow: the steps that data passes, from a received event to a sent card, and from a click to a payout."""
