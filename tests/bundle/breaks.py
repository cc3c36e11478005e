"""What can be wrong with the files of the bundle: changes of a copy, and the problem each makes."""

from __future__ import annotations

MAIN = "databricks.yml"
PIPELINE = "resources/feature_store_pipeline.job.yml"
MAINTENANCE = "resources/maintenance.job.yml"
SCHEMAS = "resources/medallion.schemas.yml"
ON_CLUSTER = "resources/classic/feature_store_pipeline.job.yml"
# Of staging, which overrides no resource.
PRESETS = "    mode: production\n    presets:\n"
OVERRIDE = "    mode: production\n    resources: {jobs: {%s}}\n    presets:\n"

# By name: the file, what is replaced, by what, and the problem that it makes.
BREAKS = {
    "a dependency on no task": (
        PIPELINE,
        "  - task_key: Feature_Activity\n          desc",
        "  - task_key: A\n          desc",
        "Feature_Rolling depends on Feature_Activity, which is no task.",
    ),
    "tasks that wait for each other": (
        PIPELINE,
        "          description: Deliveries to bronze",
        "          depends_on: [{task_key: Feature_Rolling}]\n"
        "          description: Deliveries to bronze",
        "its tasks wait for each other.",
    ),
    "a cron expression of five fields": (
        PIPELINE,
        "0 0 6 * * ?",
        "0 6 * * ?",
        "0 6 * * ? has 5 fields, not 6 or 7.",
    ),
    "an hour that no day has": (
        PIPELINE,
        "0 0 6 * * ?",
        "0 0 25 * * ?",
        "0 0 25 * * ? has 25 for its hours.",
    ),
    "a cron expression of Unix": (
        MAINTENANCE,
        "0 0 12 ? * SUN",
        "0 0 12 * * SUN",
        "needs a ? for one of the two days.",
    ),
    "a time zone that is none": (
        MAIN,
        "default: UTC",
        "default: Europe/Berln",
        "Europe/Berln is no time zone.",
    ),
    "a written pause_status": (
        PIPELINE,
        "timezone_id:",
        "pause_status: UNPAUSED\n        timezone_id:",
        "pause_status is written out, which defeats development mode.",
    ),
    "a parameter that the job does not declare": (
        PIPELINE,
        "{{job.parameters.end}}",
        "{{job.parameters.stop}}",
        "feature_store_pipeline has no parameter stop, but uses it.",
    ),
    "a parameter that no task uses": (
        PIPELINE,
        "--end={{job.parameters.end}}",
        "--end=",
        "no task uses the parameter end.",
    ),
    "a dynamic value that is none": (
        PIPELINE,
        "{{job.run_id}}",
        "{{job.runid}}",
        "{{job.runid}} is nothing that the platform knows.",
    ),
    "an environment that is nowhere": (
        PIPELINE,
        "- environment_key: paceline",
        "- environment_key: pace",
        "Feature_Activity runs on ['paceline'], which is not there.",
    ),
    "a task without compute": (
        MAINTENANCE,
        "          environment_key: paceline\n",
        "",
        "Maintenance runs on nothing, which is not there.",
    ),
    "a cluster that is nowhere": (
        ON_CLUSTER,
        "- job_cluster_key: paceline",
        "- job_cluster_key: pace",
        "Feature_Rolling runs on ['paceline'], which is not there.",
    ),
    "an include without a file": (
        MAIN,
        "  - resources/*.yml\n",
        "  - resources/*.yml\n  - resource/*.yml\n",
        "The include resource/*.yml matches no file.",
    ),
    "a file that no include matches": (
        MAIN,
        "resources/*.yml",
        "resources/*.job.yml",
        "No include matches resources/medallion.schemas.yml.",
    ),
    "jobs outside of what is deployed": (
        MAIN,
        "    - jobs\n",
        "    - src\n",
        "jobs/feature_activity.py is not deployed: sync leaves it out.",
    ),
    "a job excluded from what is deployed": (
        MAIN,
        "    - jobs\n",
        "    - jobs\n  exclude:\n    - '*_rolling.py'\n",
        "jobs/feature_rolling.py is not deployed: sync leaves it out.",
    ),
    "a job file that is not there": (
        PIPELINE,
        "jobs/feature_rolling.py",
        "jobs/feature_roling.py",
        "Feature_Rolling runs jobs/feature_roling.py, which is not there.",
    ),
    "a misspelt field in a target": (
        MAIN,
        PRESETS,
        OVERRIDE % "maintenance: {max_concurent_runs: 1}",
        "jobs.maintenance: Unexpected field 'max_concurent_runs' for class Job.",
    ),
    "a misspelt resource in a target": (
        MAIN,
        PRESETS,
        OVERRIDE % "maintenence: {max_concurrent_runs: 1}",
        "overrides jobs.maintenence, which is nowhere else.",
    ),
    "a misspelt section of a target": (
        MAIN,
        "    presets:\n      name_prefix",
        "    preset:\n      name_prefix",
        "targets.staging: Additional properties are not allowed ('preset' was unexpected).",
    ),
    "a misspelt field of a task": (
        PIPELINE,
        "min_retry_interval_millis",
        "min_retry_interval",
        "Unexpected field 'min_retry_interval' for class Task.",
    ),
    "a word for a number": (
        PIPELINE,
        "max_retries: 2",
        "max_retries: two",
        "jobs.feature_store_pipeline: invalid literal for int() with base 10: 'two'.",
    ),
    "a text for a number": (
        PIPELINE,
        "timeout_seconds: 7200",
        'timeout_seconds: "7200"',
        'tasks.0.timeout_seconds: "7200" is not of type "integer".',
    ),
    "a comparison that is none": (
        PIPELINE,
        "GREATER_THAN",
        "ABOVE",
        "jobs.feature_store_pipeline: 'ABOVE' is not a valid JobsHealthOperator.",
    ),
    "a privilege that is none": (
        SCHEMAS,
        "- SELECT",
        "- READ",
        "schemas.feature_store: 'READ' is not a valid Privilege.",
    ),
    "two tasks of one name": (
        PIPELINE,
        "- task_key: Feature_Rolling",
        "- task_key: Feature_Activity",
        "Two tasks of feature_store_pipeline are called Feature_Activity.",
    ),
    "two jobs of one name": (
        MAINTENANCE,
        "feature-store-maintenance",
        "feature-store-pipeline",
        "Two jobs are called feature-store-pipeline.",
    ),
    "two schemas of one name": (
        SCHEMAS,
        "name: ops",
        "name: silver",
        "Two schemas are called silver.",
    ),
    "a resource in two files": (
        MAINTENANCE,
        "    maintenance:\n",
        "    feature_store_pipeline:\n",
        "The resource jobs.feature_store_pipeline is in two files.",
    ),
    "a key that is given twice": (
        PIPELINE,
        "      max_concurrent_runs: 1\n",
        "      max_concurrent_runs: 1\n" * 2,
        "The key max_concurrent_runs is given twice in the mapping",
    ),
    "a file that is no YAML": (MAIN, "include:\n", "include: [\n", "databricks.yml is no YAML"),
    "the host of a workspace": (
        MAIN,
        "    workspace:\n",
        "    workspace:\n      host: https://example.com\n",
        "targets.staging.workspace.host fixes a workspace.",
    ),
    "the address of a person": (
        MAIN,
        "default: []",
        "default: [ann@example.com]",
        "variables.alert_emails.default.0 holds an e-mail address.",
    ),
    "the id of a principal": (
        MAIN,
        "service_principal_name: ${var.run_as_sp}",
        "service_principal_name: robot",
        "targets.staging.run_as.service_principal_name holds an id.",
    ),
    "the id of a cluster": (
        MAINTENANCE,
        "environment_key: paceline\n          spark",
        "existing_cluster_id: 1-2\n          spark",
        "tasks.0.existing_cluster_id holds an id.",
    ),
    "a variable without a default": (
        MAIN,
        "    default: UTC\n",
        "",
        "The variable timezone has no default.",
    ),
    "a variable without a description": (
        MAIN,
        "    description: The time zone of the schedules.\n",
        "",
        "The variable timezone has no description.",
    ),
    "a variable that nobody declares": (
        SCHEMAS,
        "${var.readers}",
        "${var.reader}",
        "The variable reader is used but not declared.",
    ),
    "a variable that is not used": (
        MAIN,
        "${var.operators}",
        "everybody",
        "The variable operators is never used.",
    ),
    "a target that sets an unknown variable": (
        MAIN,
        "      readers: paceline-readers",
        "      reader: paceline-readers",
        "The target staging sets the variable reader, which is not declared.",
    ),
    "a reference without a value": (
        PIPELINE,
        "${resources.volumes.landing.volume_path}",
        "${resources.volumes.land.name}",
        "The reference ${resources.volumes.land.name} has no value.",
    ),
    "an option that the job does not have": (
        PIPELINE,
        "--git-commit=",
        "--commit=",
        "Feature_Activity is refused by its parser: No such option: --commit",
    ),
    "a layer that the warehouse does not have": (
        PIPELINE,
        "--schema=ops=",
        "--schema=meta=",
        "refused by its parser: --schema 'meta=dev_ann_smith_ops' names no layer",
    ),
    "an argument of two tokens": (
        PIPELINE,
        "- --end={{job.parameters.end}}",
        "- --end\n              - '{{job.parameters.end}}'",
        "Feature_Activity has an argument that is no single token.",
    ),
    "the name of a schema written out": (
        PIPELINE,
        "silver=${resources.schemas.silver.name}",
        "silver=silver",
        "Feature_Activity is not told the schema of silver.",
    ),
    "a wheel that nobody builds": (
        MAINTENANCE,
        "../dist/*.whl",
        "../build/*.whl",
        "The job maintenance does not install the wheel that the bundle builds.",
    ),
    "a build that needs a network": (
        MAIN,
        " --no-isolation",
        "",
        "The job feature_store_pipeline does not install the wheel that the bundle builds.",
    ),
    "runs that may overlap": (
        PIPELINE,
        "max_concurrent_runs: 1",
        "max_concurrent_runs: 2",
        "runs may overlap or be lost; it needs one at a time, and a queue.",
    ),
    "no pause between tries": (
        PIPELINE,
        "          min_retry_interval_millis: 300000\n",
        "",
        "Feature_Activity has no min_retry_interval_millis.",
    ),
    "no rule for long runs": (
        MAINTENANCE,
        "      health:\n"
        "        rules:\n"
        "          - metric: RUN_DURATION_SECONDS\n"
        "            op: GREATER_THAN\n"
        "            value: 7200\n",
        "",
        "maintenance has no timeout or no health rule.",
    ),
    "failures that nobody hears of": (
        PIPELINE,
        "        on_failure: ${var.alert_emails}\n",
        "",
        "feature_store_pipeline: nobody can be told of failures by a variable.",
    ),
    "staging and prod in one place": (
        MAIN,
        '      name_prefix: "[staging] "\n',
        "",
        "Two targets share main.feature_store.",
    ),
    "a target that runs as whoever deploys": (
        MAIN,
        "    run_as:\n      service_principal_name: ${var.run_as_sp}\n",
        "",
        "The target prod does not state run_as.",
    ),
    "tables that a destroy would take along": (
        MAIN,
        "        ops: *kept\n",
        "",
        "In prod: schemas.ops may be destroyed with all that it holds.",
    ),
    "prod as the default": (MAIN, "    default: true\n", "", "There has to be one default target"),
}
