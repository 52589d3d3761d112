"""Events: receive, apply to the ledger, and reconcile with Feishu."""
