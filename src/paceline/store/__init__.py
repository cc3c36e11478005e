"""Delta and the tables of ops: names, versions, ledger, quarantine, erasures."""
