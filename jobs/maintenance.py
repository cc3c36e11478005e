"""Maintenance: keeps the files of all tables few, and no longer than needed.

    spark-submit jobs/maintenance.py --retention-hours 336

Once a week is enough, between two runs. No row changes, and no change is lost that a later run has
to read. `--help` explains every argument.
"""

from paceline.cli.main import run_maintenance


def main() -> None:
    """Runs maintenance with the arguments of the command line."""
    run_maintenance()


main()
