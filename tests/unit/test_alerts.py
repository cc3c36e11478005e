"""What is told about a run, and that no webhook can harm it; each is a real local server."""

import errno
import json
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from types import SimpleNamespace

import pytest

from paceline.pipeline.alerts import send, text_of
from paceline.store.ledger import Entry

TOKEN = "T0K3N"
# What a busy machine may add to a timeout, and far less than any server here would take.
GRACE_S = 2.0


def entry(table_name, status="PUBLISHED", verdict="PASS", message=None, run_id="run-1"):
    job = "Feature_Activity"
    return Entry(run_id, job, table_name, status=status, verdict=verdict, message=message)


QUIET = [entry("bronze.a"), entry("silver.b", "UNCHANGED", None)]


def test_nothing_is_told_when_all_is_published_or_unchanged():
    assert text_of(QUIET, "Feature_Activity") is None
    assert text_of([], "Feature_Activity") is None


def test_each_table_in_trouble_has_a_line_with_its_message():
    entries = [
        *QUIET,
        entry("silver.c", "REJECTED", "FAIL", "silver.c was rejected"),
        entry("gold.d", "SKIPPED", None, "silver.c was not published"),
        entry("gold.e", "SKIPPED", None),
        entry("silver.f", verdict="WARN", message="many"),
    ]
    assert text_of(entries, "Feature_Activity") == (
        "paceline Feature_Activity REJECTED, verdict FAIL, run run-1\n"
        "- silver.c REJECTED: silver.c was rejected\n"
        "- gold.d SKIPPED: silver.c was not published\n"
        "- gold.e SKIPPED\n"
        "- silver.f PUBLISHED: many\n"
        "1 table was published with warnings."
    )


def test_warnings_are_counted_and_not_listed():
    warned = [entry("silver.b", verdict="WARN"), entry("gold.c", verdict="WARN")]
    assert text_of([*QUIET, *warned], "Feature_Activity") == (
        "paceline Feature_Activity PUBLISHED, verdict WARN, run run-1\n"
        "2 tables were published with warnings."
    )


def test_a_table_that_is_published_with_a_message_has_a_line():
    message = "delivery_broken: strava_api/athlete_id=7/a.jsonl (25 of 30 records broken)"
    warned = [entry("silver.b", verdict="WARN", message=message), entry("gold.c", verdict="WARN")]
    assert text_of([*QUIET, *warned], "Feature_Activity") == (
        "paceline Feature_Activity PUBLISHED, verdict WARN, run run-1\n"
        "- silver.b PUBLISHED: delivery_broken: strava_api/athlete_id=***/a.jsonl (25 of 30 "
        "records broken)\n"
        "2 tables were published with warnings."
    )


def test_the_worst_status_and_verdict_of_all_tables_in_trouble_come_first():
    entries = [
        entry("silver.b", "SKIPPED", None),
        entry("silver.c", "REJECTED", "FAIL"),
        entry("silver.d", "REJECTED", "ERROR"),
        entry("gold.e", "FAILED", None, run_id="run-2"),
    ]
    first = "paceline both FAILED, verdict ERROR, run run-1, run-2"
    assert text_of(entries, "both").splitlines()[0] == first


def test_a_failure_before_the_audit_has_no_verdict():
    text = text_of([*QUIET, entry("silver.c", "FAILED", None, "the disk is full")], "j")
    assert text.splitlines() == [
        "paceline j FAILED, no verdict, run run-1",
        "- silver.c FAILED: the disk is full",
    ]


@pytest.mark.parametrize("verdict", ["FAIL", "ERROR"])
def test_a_difference_found_later_is_told(verdict):
    text = text_of([entry("gold.e", "VERIFIED", verdict, "3 rows differ")], "verify")
    assert text.endswith("- gold.e VERIFIED: 3 rows differ")
    assert text_of([entry("gold.e", "VERIFIED", "PASS")], "verify") is None


def test_a_message_stays_one_line_of_bounded_length():
    text = text_of([entry("gold.e", "FAILED", None, "a\n\n b\t" + "c" * 5000)], "j")
    _, line = text.splitlines()
    assert line.startswith("- gold.e FAILED: a b ccc")
    assert line.endswith("c ...")
    assert len(line) < 1100


@contextmanager
def webhook(status=200, headers=(), wait_for=None, certificate=None):
    """A server that answers every post alike, if told so only after an event."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.posts.append((self.path, self.headers, body))
            if wait_for:
                wait_for.wait(30)
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *arguments):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request, client_address):
            """The client hangs up on purpose."""

    with Server(("127.0.0.1", 0), Handler) as server:
        scheme = "http"
        if certificate:
            scheme, context = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        url = f"{scheme}://127.0.0.1:{server.server_port}/services/{TOKEN}?key={TOKEN}"
        seen = SimpleNamespace(url=url, posts=[])
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield seen
        finally:
            if wait_for:
                wait_for.set()
            server.shutdown()


@contextmanager
def raw_server(talk):
    """A server that takes one connection and does with it what it likes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with listener.accept()[0] as connection:
                connection.settimeout(10)
                talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}/services/{TOKEN}"
        thread.join(10)
        assert not thread.is_alive()


def sent(url, timeout_s=5.0, text="hello"):
    """The reason why a text was not taken, after checking that it gives nothing away."""
    reason = send(url, text, timeout_s)
    assert not any(secret in (reason or "") for secret in (TOKEN, "127.0.0.1", "services", "\n"))
    return reason


def gave_up_in_time(url, timeout_s):
    started = monotonic()
    reason = sent(url, timeout_s)
    assert monotonic() - started < timeout_s + GRACE_S
    return reason == f"the webhook did not answer within {timeout_s:g} s"


def test_a_webhook_receives_the_text_as_slack_wants_it():
    with webhook() as hook:
        assert sent(hook.url, text="zwölf \N{RUNNER}\nlines") is None
    ((path, headers, body),) = hook.posts
    assert path == f"/services/{TOKEN}?key={TOKEN}"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"text": "zwölf \N{RUNNER}\nlines"}


@pytest.mark.parametrize(
    ("text", "received"),
    [
        ("<!channel> a<b & c", "&lt;!channel&gt; a&lt;b &amp; c"),
        ("""it's "quoted" \\ \x00""", """it's "quoted" \\ \x00"""),
        ("half a pair: \ud83c", "half a pair: \ud83c"),
    ],
)
def test_a_text_cannot_call_people_or_break_the_message(text, received):
    with webhook() as hook:
        assert sent(hook.url, text=text) is None
    assert json.loads(hook.posts[0][2]) == {"text": received}


def test_an_address_may_have_no_path_and_end_in_a_line_break():
    with webhook() as hook:
        assert sent(hook.url.split("/services")[0] + f"?{TOKEN}\n") is None
    assert hook.posts[0][0] == f"/?{TOKEN}"


@pytest.mark.parametrize("status", [200, 201, 204, 400, 403, 404, 429, 500, 503])
def test_any_success_counts_and_a_refusal_is_told_with_its_status(status):
    with webhook(status) as hook:
        assert sent(hook.url) == (None if status < 300 else f"the webhook answered {status}")


@pytest.mark.parametrize(
    ("status", "scheme"), [(301, "http"), (302, "http"), (303, "ftp"), (307, "file"), (308, "http")]
)
def test_a_redirect_is_not_followed(status, scheme):
    with webhook() as elsewhere:
        target = elsewhere.url.replace("http:", f"{scheme}:")
        with webhook(status, [("Location", target)]) as hook:
            told = f"the webhook answered {status}, and redirects are not followed"
            assert sent(hook.url) == told
    assert len(hook.posts) == 1
    assert not elsewhere.posts


@pytest.mark.parametrize(
    "url",
    [
        "",
        "   ",
        TOKEN,
        f"hooks.example.org/services/{TOKEN}",
        f"//hooks.example.org/services/{TOKEN}",
        f"file:///etc/{TOKEN}",
        f"ftp://hooks.example.org/{TOKEN}",
        f"http:///services/{TOKEN}",
        f"https://:443/services/{TOKEN}",
        f"http://hooks.example.org/ser vices/{TOKEN}",
        f"http://hooks .example.org/{TOKEN}",
        f"http://hooks.example.org/{TOKEN}\r\nHost: other",
        f"http://hooks.example.org/{TOKEN}\x00",
        f"http://hooks.example.org/{TOKEN}/\N{RUNNER}",
        f"http://hooks.example.org:{TOKEN}/",
        "http://hooks.example.org:99999/",
        f"http://[::1/{TOKEN}",
        f"http://me:{TOKEN}@hooks.example.org/",
    ],
)
def test_an_address_that_cannot_be_used_is_told_what_is_allowed(url):
    assert "must start with http:// or https://, name a host" in sent(url)


@pytest.mark.parametrize("host", ["..", "a" * 64])
def test_a_host_that_cannot_exist(host):
    assert sent(f"http://{host}/{TOKEN}").startswith("posting to the webhook failed (Unicode")


def test_a_port_where_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    reason = sent(f"http://127.0.0.1:{port}/{TOKEN}")
    assert reason == "posting to the webhook failed (ConnectionRefusedError)"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (socket.gaierror(-2, f"no {TOKEN}"), "failed (gaierror)"),
        (OSError(f"no way to {TOKEN}"), "failed (OSError)"),
        (OSError(errno.ENETUNREACH, f"no way to {TOKEN}"), "failed (Network is unreachable)"),
        (TimeoutError(f"{TOKEN} is slow"), "did not answer within 5 s"),
    ],
)
def test_a_failure_is_told_by_its_type_or_number_and_never_by_its_text(monkeypatch, error, told):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert sent(f"http://{TOKEN}.invalid/").endswith(told)


def test_an_answer_that_comes_too_late():
    answer = threading.Event()
    with webhook(wait_for=answer) as hook:
        assert gave_up_in_time(hook.url, 0.3)
    assert len(hook.posts) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_takes_the_connection_and_stays_silent(scheme):
    def listen(connection):
        while connection.recv(4096):
            pass

    with raw_server(listen) as address:
        assert gave_up_in_time(f"{scheme}://{address}", 0.3)


def test_a_server_that_dribbles_is_hung_up_on():
    hung_up = threading.Event()

    def dribble(connection):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        try:
            while not hung_up.wait(0.05):
                connection.sendall(b"X")
        except OSError:
            hung_up.set()

    with raw_server(dribble) as address:
        assert gave_up_in_time(f"http://{address}", 0.5)
        assert hung_up.wait(5)


def test_the_body_of_an_answer_is_not_waited_for():
    def answer(connection):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        connection.recv(4096)

    with raw_server(answer) as address:
        assert sent(f"http://{address}") is None


def test_a_host_that_nobody_finds_in_time(monkeypatch):
    found = threading.Event()

    def look_up(*arguments, **options):
        found.wait(30)
        raise socket.gaierror(f"no {TOKEN}")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    try:
        assert gave_up_in_time(f"http://hooks.example.org/{TOKEN}", 0.3)
    finally:
        found.set()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("answer", [b"", f"220 {TOKEN} ESMTP\r\n".encode(), b"\x00" * 100_000])
def test_a_server_that_speaks_something_else(scheme, answer):
    def talk(connection):
        connection.recv(4096)
        connection.sendall(answer)

    with raw_server(talk) as address:
        assert sent(f"{scheme}://{address}").startswith("posting to the webhook failed (")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The files of a certificate and its key, which nobody trusts yet."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    directory = tmp_path_factory.mktemp("certificate")
    paths = directory / "certificate.pem", directory / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    command += " -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    files = ["-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return paths


def test_a_webhook_with_a_trusted_certificate_receives_the_text(monkeypatch, certificate):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with webhook(certificate=certificate) as hook:
        assert sent(hook.url) is None
    assert len(hook.posts) == 1


def test_a_server_whose_certificate_nobody_trusts_receives_nothing(certificate):
    with webhook(certificate=certificate) as hook:
        reason = sent(hook.url)
    assert reason == "posting to the webhook failed (SSLCertVerificationError)"
    assert not hook.posts


def test_a_proxy_in_the_environment_is_not_used(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with webhook() as hook:
        assert sent(hook.url) is None


@pytest.mark.parametrize("timeout_s", [0, 0.0001])
def test_no_time_at_all_is_no_error(timeout_s):
    with webhook() as hook:
        sent(hook.url, timeout_s)


def test_no_thread_is_no_error(monkeypatch):
    def full(thread):
        raise RuntimeError("can't start new thread")

    with webhook() as hook, monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", full)
        assert sent(hook.url) == "posting to the webhook failed (RuntimeError)"


def test_nothing_is_printed(capfd):
    answer = threading.Event()
    with webhook(wait_for=answer) as hook:
        sent(hook.url, 0.1)
    sent(f"http://127.0.0.1:1/{TOKEN}")
    for thread in threading.enumerate():
        if thread.name == "paceline-alert":
            thread.join(5)
            assert not thread.is_alive()
    assert capfd.readouterr() == ("", "")
