"""Feature_Rolling: activity_features -> feature_store.athlete_rolling_features.

    spark-submit jobs/feature_rolling.py --start 2024-01-01 --end 2024-02-01

Without --start it catches up with everything that has changed. `--help` explains every argument.
"""

from paceline.cli.main import run_job
from paceline.pipeline.jobs import FEATURE_ROLLING


def main() -> None:
    """Runs the job with the arguments of the command line."""
    run_job(FEATURE_ROLLING)


main()
