"""The services behind `fake_workspace`: each function answers one kind of request.

They take the workspace and the call, return a dict, bytes or nothing, and refuse by `Refusal`. They
are as strict as the real ones in what a bundle can get wrong: parents exist before children, names
are free, a job has exactly one owner, its parameters are declared. What a service adds by itself is
added here too, so that a second plan without changes means something.
"""

import posixpath
import re
import threading

WORKSPACE_ID = "1234567890123456"
APPLICATION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Refusal(Exception):
    """An answer other than 200, in the form of the services."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status = status
        self.body = {"error_code": code, "message": message}


def missing(what):
    return Refusal(404, "RESOURCE_DOES_NOT_EXIST", f"{what} does not exist.")


def invalid(message):
    return Refusal(400, "INVALID_PARAMETER_VALUE", message)


def current_user(workspace, call):
    return {"id": "1", "userName": workspace.user, "active": True}


def host_metadata(workspace, call):
    return {"workspace_id": WORKSPACE_ID, "oidc_endpoint": "http://127.0.0.1/oidc"}


def _folder(workspace, path):
    """Makes a folder and those above it."""
    while path not in ("", "/"):
        workspace.directories.setdefault(path, next(workspace.ids))
        path = posixpath.dirname(path)


def make_folder(workspace, call):
    _folder(workspace, call.json["path"])


def file_status(workspace, call):
    path = call.query["path"]
    if path in workspace.files:
        return {"object_type": "FILE", "path": path, "object_id": 1}
    if path in workspace.directories:
        number = workspace.directories[path]
        return {"object_type": "DIRECTORY", "path": path, "object_id": number}
    raise missing(path)


def import_file(workspace, call):
    path = f"/{call.names['path'].lstrip('/')}"
    if posixpath.dirname(path) not in workspace.directories:
        raise missing(f"The parent folder of {path}")
    if path in workspace.files and call.query.get("overwrite") != "true":
        raise Refusal(409, "RESOURCE_ALREADY_EXISTS", f"{path} already exists.")
    workspace.files[path] = call.body


def export_file(workspace, call):
    path = call.query["path"]
    if path not in workspace.files:
        raise missing(path)
    return workspace.files[path]


def delete_path(workspace, call):
    path = call.json["path"]
    if path not in workspace.files and path not in workspace.directories:
        raise missing(path)
    below = [*workspace.files, *workspace.directories]
    below = [each for each in below if each.startswith(f"{path}/")]
    if below and not call.json.get("recursive"):
        raise Refusal(400, "DIRECTORY_NOT_EMPTY", f"{path} is not empty.")
    for each in [path, *below]:
        workspace.files.pop(each, None)
        number = workspace.directories.pop(each, None)
        workspace.permissions.pop(f"directories/{number}", None)


def _known(identity):
    """Refuses a service principal that is not named by its application id."""
    name = identity.get("service_principal_name")
    if name is not None and not APPLICATION_ID.fullmatch(name):
        raise invalid(f"The service principal {name} does not exist.")


def _completed(settings):
    """The settings with what the jobs service fills in; no plan may take it for a change."""
    _known(settings.get("run_as", {}))
    defaults = {"email_notifications": {}, "webhook_notifications": {}, "timeout_seconds": 0}
    tasks = [{"run_if": "ALL_SUCCESS", **defaults, **task} for task in settings.get("tasks", [])]
    return {"format": "MULTI_TASK", **defaults, **settings, "tasks": tasks}


def _job(workspace, number):
    if number not in workspace.jobs:
        raise missing(f"Job {number}")
    return workspace.jobs[number]


def create_job(workspace, call):
    number = next(workspace.ids)
    workspace.jobs[number] = {
        "job_id": number,
        "creator_user_name": workspace.user,
        "run_as_user_name": workspace.user,
        "settings": _completed(call.json),
    }
    return {"job_id": number}


def reset_job(workspace, call):
    _job(workspace, call.json["job_id"])["settings"] = _completed(call.json["new_settings"])


def get_job(workspace, call):
    return _job(workspace, int(call.query["job_id"]))


def delete_job(workspace, call):
    number = call.json["job_id"]
    _job(workspace, number)
    del workspace.jobs[number]
    workspace.permissions.pop(f"jobs/{number}", None)


def run_job(workspace, call):
    job = _job(workspace, call.json["job_id"])
    settings = job["settings"]
    given = call.json.get("job_parameters", {})
    parameters = {each["name"]: each["default"] for each in settings.get("parameters", [])}
    if given.keys() - parameters.keys():
        raise invalid(f"Job parameters that are not declared: {given.keys() - parameters.keys()}")
    number = next(workspace.ids)
    run = {
        "run_id": number,
        "job_id": job["job_id"],
        "run_name": settings["name"],
        "run_page_url": f"http://127.0.0.1/#job/{job['job_id']}/run/{number}",
        "state": {"life_cycle_state": "RUNNING"},
        "tasks": [{"task_key": each["task_key"]} for each in settings["tasks"]],
    }
    for task in run["tasks"]:
        task.update(run_id=next(workspace.ids), state=run["state"])
    workspace.runs[number] = run
    thread = threading.Thread(
        target=_run, args=(workspace, run, settings, {**parameters, **given}), daemon=True
    )
    thread.start()
    # What is done within a second is done when the CLI asks first; its next look is seconds later.
    thread.join(timeout=1)
    return {"run_id": number}


def _run(workspace, run, settings, parameters):
    outcome, message = "FAILED", "the job did not succeed"
    try:
        if workspace.execute(settings, parameters):
            outcome, message = "SUCCESS", ""
    except BaseException as error:
        message = f"{type(error).__name__}: {error}"
    state = {"life_cycle_state": "TERMINATED", "result_state": outcome, "state_message": message}
    run["tasks"] = [{**task, "state": state} for task in run["tasks"]]
    run["state"] = state


def get_run(workspace, call):
    number = int(call.query["run_id"])
    if number not in workspace.runs:
        raise missing(f"Run {number}")
    return workspace.runs[number]


def get_run_output(workspace, call):
    number = int(call.query["run_id"])
    for run in workspace.runs.values():
        for task in run["tasks"]:
            if task["run_id"] == number:
                message = task["state"].get("state_message")
                return {"error": message} if message else {"logs": "done\n"}
    raise missing(f"Run {number}")


def create_schema(workspace, call):
    schema = call.json
    name = f"{schema['catalog_name']}.{schema['name']}".lower()
    if name in workspace.schemas:
        raise Refusal(400, "SCHEMA_ALREADY_EXISTS", f"Schema {name} already exists.")
    own = {"full_name": name, "owner": workspace.user, "schema_id": str(next(workspace.ids))}
    workspace.schemas[name] = {**schema, **own, "name": name.partition(".")[2]}
    return workspace.schemas[name]


def create_volume(workspace, call):
    volume = call.json
    schema = f"{volume['catalog_name']}.{volume['schema_name']}".lower()
    if schema not in workspace.schemas:
        raise missing(f"Schema {schema}")
    name = f"{schema}.{volume['name']}".lower()
    if name in workspace.volumes:
        raise Refusal(400, "VOLUME_ALREADY_EXISTS", f"Volume {name} already exists.")
    own = {"full_name": name, "owner": workspace.user, "volume_id": str(next(workspace.ids))}
    workspace.volumes[name] = {"storage_location": f"s3://somewhere/{name}", **volume, **own}
    return workspace.volumes[name]


def _held(workspace, call):
    """The dict, schemas or volumes, that holds what the path names."""
    everything = getattr(workspace, call.names["kind"])
    if call.names["name"] not in everything:
        raise missing(f"{call.names['kind']} {call.names['name']}")
    return everything


def read_securable(workspace, call):
    return _held(workspace, call)[call.names["name"]]


def update_securable(workspace, call):
    everything = _held(workspace, call)
    everything[call.names["name"]] |= call.json
    return everything[call.names["name"]]


def delete_securable(workspace, call):
    name = call.names["name"]
    everything = _held(workspace, call)
    inside = [each for each in workspace.volumes if each.startswith(f"{name}.")]
    if inside and call.query.get("force") != "true":
        raise invalid(f"{name} is not empty.")
    for each in inside:
        del workspace.volumes[each]
    del everything[name]
    workspace.grants.pop(f"{call.names['kind'].removesuffix('s')}/{name}", None)


def get_grants(workspace, call):
    grants = workspace.grants.get(f"{call.names['kind']}/{call.names['name']}", {})
    return {
        "privilege_assignments": [
            {"principal": principal, "privileges": sorted(privileges)}
            for principal, privileges in grants.items()
            if privileges
        ]
    }


def change_grants(workspace, call):
    grants = workspace.grants.setdefault(f"{call.names['kind']}/{call.names['name']}", {})
    for change in call.json["changes"]:
        privileges = grants.setdefault(change["principal"], set())
        removed = set(change.get("remove", []))
        privileges -= privileges if "ALL_PRIVILEGES" in removed else removed
        privileges |= set(change.get("add", []))
    return get_grants(workspace, call)


def get_permissions(workspace, call):
    key = f"{call.names['kind']}/{call.names['id']}"
    inherited = {"permission_level": "CAN_MANAGE", "inherited": True}
    admins = {"group_name": "admins", "all_permissions": [inherited]}
    entries = workspace.permissions.get(key, [])
    return {"object_id": f"/{key}", "access_control_list": [*entries, admins]}


def set_permissions(workspace, call):
    entries = call.json["access_control_list"]
    for entry in entries:
        _known(entry)
    owners = [each for each in entries if each["permission_level"] == "IS_OWNER"]
    if call.names["kind"] == "jobs" and len(owners) != 1:
        raise invalid("The job must have exactly one owner.")
    workspace.permissions[f"{call.names['kind']}/{call.names['id']}"] = [
        {**entry, "all_permissions": [{"permission_level": entry["permission_level"]}]}
        for entry in entries
    ]
    return get_permissions(workspace, call)
