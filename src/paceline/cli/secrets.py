"""The addresses of the online store from a secret scope of Databricks.

Serverless compute gives a task no environment of its own, and what stands in the arguments of a
task can be read by everybody who may see its runs.
"""

from __future__ import annotations

import os

import click

from paceline.errors import UsageError

# Each is the key of a secret, and the variable that feature_repo/redis.yaml names.
NAMES = ("PACELINE_REDIS", "PACELINE_REGISTRY")

SECRET_SCOPE = click.option(
    "--secret-scope",
    help=f"On Databricks, the secret scope that holds {' and '.join(NAMES)}, instead of the "
    "environment. Example: --secret-scope paceline",
)


def fill_environment(scope: str) -> None:
    """Puts the secrets of a scope where the feature repository looks for them.

    Raises:
        UsageError: when this is no Databricks, or the scope or a secret is missing or closed.
    """
    try:
        from databricks.sdk.runtime import dbutils
    except ImportError as error:
        raise UsageError(
            "--secret-scope is for Databricks: elsewhere leave it away, and put "
            f"{' and '.join(NAMES)} into the environment."
        ) from error
    for name in NAMES:
        try:
            value = dbutils.secrets.get(scope=scope, key=name)
        except Exception as error:  # of the JVM on clusters, of the SDK on serverless compute
            raise _missing(scope, name, type(error).__name__) from error
        if not value:
            raise _missing(scope, name, "it is empty")
        os.environ[name] = value


def _missing(scope: str, name: str, reason: str) -> UsageError:
    return UsageError(
        f"The secret {name} of the scope {scope} cannot be read ({reason}): put it there with "
        "`databricks secrets put-secret`, and let the owner of the job read the scope."
    )
