"""The way, one step a file, in data order: receive, record, announce, render, deliver."""
