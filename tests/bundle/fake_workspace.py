"""A Databricks workspace on the loopback, as far as `databricks bundle` needs one.

Its state is plain dicts, which a test may read; the services are in `fake_services`. A request that
nobody foresaw gets a 404 and is noted in `unexpected`.
"""

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.bundle import fake_services as services

LARGEST_BODY_BYTES = 64 * 2**20
CONNECTIONS = 16
SECONDS_FOR_A_REQUEST = 30

Json = dict[str, Any]


@dataclass
class Workspace:
    """What the workspace holds.

    `execute` runs a job: in go its settings and the values of its parameters, out comes whether it
    has succeeded. It is called in a thread of its own. `user` is who talks to the workspace: an
    e-mail address, or the application id of a service principal.
    """

    execute: Callable[[Json, dict[str, str]], bool]
    user: str = "someone@example.com"
    files: dict[str, bytes] = field(default_factory=dict)
    directories: dict[str, int] = field(default_factory=dict)
    jobs: dict[int, Json] = field(default_factory=dict)
    runs: dict[int, Json] = field(default_factory=dict)
    schemas: dict[str, Json] = field(default_factory=dict)
    volumes: dict[str, Json] = field(default_factory=dict)
    grants: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    permissions: dict[str, list[Json]] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1001))

    def left(self, root: str) -> list[str]:
        """What is still there of a bundle that lives at `root`; `destroy` leaves nothing."""
        held = ("files", "jobs", "schemas", "volumes", "grants", "permissions")
        kept = [f"{name}: {key}" for name in held for key in getattr(self, name)]
        return kept + [path for path in self.directories if f"{path}/".startswith(f"{root}/")]


@dataclass
class Call:
    """One request; `names` are the parts of the path that its route leaves open."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    names: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Json:
        return json.loads(self.body)


_CATALOG = "/api/2.1/unity-catalog"
_JOBS = "/api/2.2/jobs"
_WORKSPACE = "/api/2.0/workspace"

ROUTES = [
    ("GET", "/.well-known/databricks-config", services.host_metadata),
    ("GET", "/api/2.0/preview/scim/v2/Me", services.current_user),
    ("GET", f"{_WORKSPACE}/get-status", services.file_status),
    ("GET", f"{_WORKSPACE}/export", services.export_file),
    ("POST", f"{_WORKSPACE}/mkdirs", services.make_folder),
    ("POST", f"{_WORKSPACE}/delete", services.delete_path),
    ("POST", "/api/2.0/workspace-files/import-file/{path}", services.import_file),
    ("POST", f"{_JOBS}/create", services.create_job),
    ("POST", f"{_JOBS}/reset", services.reset_job),
    ("POST", f"{_JOBS}/delete", services.delete_job),
    ("POST", f"{_JOBS}/run-now", services.run_job),
    ("GET", f"{_JOBS}/get", services.get_job),
    ("GET", f"{_JOBS}/runs/get", services.get_run),
    ("GET", f"{_JOBS}/runs/get-output", services.get_run_output),
    ("POST", f"{_CATALOG}/schemas", services.create_schema),
    ("POST", f"{_CATALOG}/volumes", services.create_volume),
    ("GET", f"{_CATALOG}/{{kind}}/{{name}}", services.read_securable),
    ("PATCH", f"{_CATALOG}/{{kind}}/{{name}}", services.update_securable),
    ("DELETE", f"{_CATALOG}/{{kind}}/{{name}}", services.delete_securable),
    ("GET", f"{_CATALOG}/permissions/{{kind}}/{{name}}", services.get_grants),
    ("PATCH", f"{_CATALOG}/permissions/{{kind}}/{{name}}", services.change_grants),
    ("GET", "/api/2.0/permissions/{kind}/{id}", services.get_permissions),
    ("PUT", "/api/2.0/permissions/{kind}/{id}", services.set_permissions),
]


def _pattern(route):
    """`{path}` may hold slashes; every other name is one part of the path."""
    parts = {"path": ".+", "kind": "schemas|volumes|schema|volume|jobs|directories"}
    named = re.sub(r"\{(\w+)\}", lambda m: f"(?P<{m[1]}>{parts.get(m[1], '[^/]+')})", route)
    return re.compile(named)


_PATTERNS = [(method, _pattern(route), service) for method, route, service in ROUTES]


def answer(workspace, call):
    """The status and the body that the workspace gives to a call."""
    for method, pattern, service in _PATTERNS:
        match = pattern.fullmatch(call.path)
        if match and method == call.method:
            call.names = match.groupdict()
            try:
                with workspace.lock:
                    return 200, service(workspace, call)
            except services.Refusal as refusal:
                return refusal.status, refusal.body
    workspace.unexpected.append(f"{call.method} {call.path}")
    return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": f"No API found for {call.path}"}


class _Server(ThreadingHTTPServer):
    """At most so many connections at once; the rest wait in the queue of the socket."""

    daemon_threads = True

    def __init__(self, handler):
        self.slots = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(("127.0.0.1", 0), handler)

    def process_request(self, request, client_address):
        self.slots.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.slots.release()


def _handler(workspace):
    class Handler(BaseHTTPRequestHandler):
        timeout = SECONDS_FOR_A_REQUEST

        def handle_request(self):
            length = int(self.headers.get("Content-Length") or 0)
            if length > LARGEST_BODY_BYTES:
                self.send_error(413)
                return
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query, keep_blank_values=True))
            call = Call(self.command, unquote(url.path), query, self.rfile.read(length))
            try:
                status, body = answer(workspace, call)
            except Exception as error:
                workspace.unexpected.append(f"{call.method} {call.path}: {error!r}")
                status, body = 400, {"error_code": "BAD_REQUEST", "message": repr(error)}
            content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Databricks-Org-Id", services.WORKSPACE_ID)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_request

        def log_message(self, *_):
            """Tests read `unexpected` instead."""

    return Handler


@contextmanager
def serving(workspace):
    """Serves the workspace while the block runs; gives its URL."""
    server = _Server(_handler(workspace))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
