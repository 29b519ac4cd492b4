"""The self-test of a board: networks, checks and provoked errors."""
