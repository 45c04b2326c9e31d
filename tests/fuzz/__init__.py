"""Nonsense for every parser of ``meters``: coverage-guided by atheris, and in the test suite."""
