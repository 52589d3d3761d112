"""The report of `notifier status`: what it shows, and what needs attention."""
