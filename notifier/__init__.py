"""Notifies of referral rewards in Feishu: event -> inbox -> ledger -> notice -> card -> delivery -> Feishu."""

__version__ = "0.1.0"
