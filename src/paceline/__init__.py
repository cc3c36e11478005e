"""paceline: athlete activities to audited feature tables on Delta Lake."""

__version__ = "0.1.0"
