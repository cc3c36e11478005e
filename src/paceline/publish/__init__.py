"""Claim, stage, audit, record, quarantine, publish, seal: for any recipe."""
