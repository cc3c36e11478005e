"""Online_Sync: feature_store -> the online store, exactly.

    spark-submit jobs/sync_online.py --warehouse demo/warehouse --repo feature_repo

Registers the views that the contracts make, and makes the store equal to gold. Run it after the
pipeline, and after 12:00 UTC, when the rows of yesterday may be used. `--help` explains every
argument.
"""

from paceline.cli.main import run_sync


def main() -> None:
    """Runs the sync with the arguments of the command line."""
    run_sync()


main()
