"""Notifies of referral rewards in Feishu: event -> inbox -> ledger -> notice -> card -> delivery -> Feishu."""

__version__ = "0.1.0"
"""The only place of the version: the build, the command line and the status read it here."""

USER_AGENT = f"referral-notifier/{__version__}"
"""The header of every call to Feishu and to the payroll system."""
