"""The company's paying system: how calls are signed, the call to it, and its reports to us."""
