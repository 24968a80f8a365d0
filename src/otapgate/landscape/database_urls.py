"""Databases by the scheme of their URL, for whoever reads one. Pure, and quick to import."""

from __future__ import annotations

SCHEMES = {"postgresql": 5432, "postgres": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433,
           "oracle": 1521, "mongodb": 27017, "redis": 6379}  # fmt: skip
"""With the port that each listens on."""
