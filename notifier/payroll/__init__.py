"""Payroll: calls to the company's paying system, and its reports."""
