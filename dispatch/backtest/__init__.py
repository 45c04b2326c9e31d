"""Controllers side by side on a stretch of history, each judged by what it really cost."""
