"""ops.deliveries: which files have been read."""

from __future__ import annotations

DELIVERIES = "ops.deliveries"

DELIVERIES_DDL = """
table_name STRING NOT NULL, path STRING NOT NULL, size BIGINT, mtime_us BIGINT,
digest STRING NOT NULL, records BIGINT, run_id STRING, delivered_at TIMESTAMP
"""
