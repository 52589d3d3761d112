"""The work of `notifier lint`: reading files, linting templates with every sample, and the forms of the report."""
