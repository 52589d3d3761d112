"""Replay: stored cards rendered again with today's templates, compared with what was sent."""
