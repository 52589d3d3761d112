"""Payroll: calls to the company's payroll system, and its reports."""
