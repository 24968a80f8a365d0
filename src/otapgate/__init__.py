"""otapgate: moves a change from test to production, and says no until it is right."""

__version__ = "0.1.0"
