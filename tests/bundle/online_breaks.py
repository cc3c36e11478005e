"""What can be wrong with the sync of the online store, as `breaks` has it of the rest."""

from __future__ import annotations

MAIN = "databricks.yml"
PIPELINE = "resources/feature_store_pipeline.job.yml"
NOON = "resources/online_sync.job.yml"
ON_CLUSTER = "resources/classic/online_sync.job.yml"
AT_NOON = "No job syncs the online store every day after 12:00 UTC."
GREEN = "without an online store a run is not green, or Online_Sync runs all the same."

# By name: the file, what is replaced, by what, and the problem that it makes.
BREAKS = {
    "a sync that a failure stops": (
        PIPELINE,
        "          run_if: ALL_DONE\n",
        "",
        "feature_store_pipeline: Online_Sync does not run when Feature_Activity has failed.",
    ),
    "a sync that hides a failure": (
        PIPELINE,
        "- task_key: Pipeline_Published\n"
        "          description: Fails with Feature_Rolling, so that a sync after it makes no run"
        " green.\n"
        "          depends_on:\n"
        "            - task_key: Feature_Rolling\n",
        "- task_key: Pipeline_Published\n          description: Nothing.\n",
        "feature_store_pipeline: a run in which Feature_Rolling has failed is taken for a success.",
    ),
    "a sync beside the pipeline": (
        PIPELINE,
        "          depends_on:\n"
        "            - task_key: Feature_Rolling\n"
        "          run_if: ALL_DONE\n",
        "",
        "feature_store_pipeline: Online_Sync does not wait for Feature_Activity, Feature_Rolling.",
    ),
    "a sync without a store": (
        PIPELINE,
        '              outcome: "true"\n',
        "",
        f"feature_store_pipeline: {GREEN}",
    ),
    "a condition that is not heeded": (
        NOON,
        '              outcome: "true"\n',
        '              outcome: "true"\n          run_if: ALL_DONE\n',
        f"online_sync: {GREEN}",
    ),
    "a sync that no store starts": (
        NOON,
        'outcome: "true"',
        'outcome: "false"',
        "online_sync: Online_Sync does not run where there is an online store.",
    ),
    "a sync before noon": (NOON, "0 5 12 * * ?", "0 5 11 * * ?", AT_NOON),
    "a sync at noon": (NOON, "0 5 12 * * ?", "0 0 12 * * ?", AT_NOON),
    "a sync on some days": (NOON, "0 5 12 * * ?", "0 5 12 ? * MON", AT_NOON),
    "noon in the zone of the other schedules": (
        NOON,
        "timezone_id: UTC",
        "timezone_id: ${var.timezone}",
        AT_NOON,
    ),
    "a feature repository that stays at home": (
        MAIN,
        "    - feature_repo\n",
        "",
        "feature_repo/features.py is not deployed: sync leaves it out.",
    ),
    "a store that is a file": (
        PIPELINE,
        "feature_repo/redis.yaml",
        "feature_repo/feature_store.yaml",
        "Online_Sync has another store than that of feature_repo/redis.yaml.",
    ),
    "addresses from nowhere": (
        NOON,
        "              - --secret-scope=${var.online_secret_scope}\n",
        "",
        "online_sync: Online_Sync is not told the scope of its secrets.",
    ),
    "a sync of other schemas": (
        NOON,
        "--schema=feature_store=${resources.schemas.feature_store.name}",
        "--schema=feature_store=${resources.schemas.silver.name}",
        "online_sync: Online_Sync is not told the schema of feature_store.",
    ),
    "two syncs that differ": (
        NOON,
        "--catalog=${var.catalog}",
        "--catalog=lake",
        "Online_Sync of online_sync differs from that of feature_store_pipeline: spark_python_task",
    ),
    "a sync without the extra": (
        NOON,
        "*.whl[online]",
        "*.whl",
        "online_sync: Online_Sync is not installed with the extra online.",
    ),
    "another version than that of the extra": (
        ON_CLUSTER,
        "deltalake==",
        "deltalake>=",
        "online_sync: Online_Sync is not installed with the extra online.",
    ),
}
