"""Behind nginx as Debian installs it: streams are not held back, and go on over a reload and a restart."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests_support.served import CHECKOUT, Served, free_port, serving, until
from workflow_server.client import Patience, WorkflowClient

NGINX = shutil.which("nginx") or next((path for path in ("/usr/sbin/nginx",) if Path(path).exists()), None)
CONFIGURATION = Path("/etc/nginx/nginx.conf")

pytestmark = [
    pytest.mark.neighbours,
    pytest.mark.skipif(NGINX is None or not CONFIGURATION.exists(), reason="nginx is not installed"),
]

OFFICE = CHECKOUT / "tests" / "interop" / "programs"


@dataclass
class Nginx:
    """An nginx of our own, with the configuration that the package brings."""

    folder: Path
    url: str
    command: tuple[str, ...]

    def start(self) -> None:
        subprocess.run(self.command, check=True, timeout=20, capture_output=True)
        until(self._answers)

    def tell(self, signal: str) -> None:
        subprocess.run([*self.command, "-s", signal], check=True, timeout=20, capture_output=True)

    def stop(self) -> None:
        self.tell("stop")
        until(lambda: not (self.folder / "nginx.pid").exists())

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health").status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def nginx(folder: Path, upstream: str) -> Iterator[Nginx]:
    """Run nginx before `upstream` for the length of the block."""
    port = free_port()
    site = f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {upstream}; }} }}"
    text = CONFIGURATION.read_text(encoding="utf-8")
    text = text.replace("include /etc/nginx/sites-enabled/*;", site)
    assert site in text
    # Where it may write, and as whom; everything else is as the package has it.
    text = re.sub(r"^(user|pid|error_log)\b.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^(\s*)(access_log|error_log)\b.*$", r"\1\2 " + f"{folder}/log;", text, flags=re.MULTILINE)
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = f"pid {folder}/nginx.pid;\nerror_log {folder}/errors;\n" + text.replace("http {", "http {\n" + paths, 1)
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    assert NGINX is not None
    one = Nginx(folder, f"http://127.0.0.1:{port}", (NGINX, "-c", str(folder / "nginx.conf")))
    one.start()
    try:
        yield one
    finally:
        one.stop()


@pytest.fixture
def server() -> Iterator[Served]:
    with serving(OFFICE / "office.py", cwd=OFFICE) as server:
        yield server


@pytest.mark.parametrize("trouble", ["none", "reload", "restart"])
def test_a_stream_is_live_and_survives(tmp_path: Path, server: Served, trouble: str) -> None:
    with nginx(tmp_path, server.url) as proxy:
        client = WorkflowClient.sync(base_url=proxy.url)
        client.run_workflow_nowait("wait", handler_id="h")
        with client.events("h", include_internal_events=True, patience=Patience(first=0.01)) as events:
            seen = []
            # The question arrives while the run waits: nothing held it back.
            for event in events:
                seen.append(event)
                if event.type == "ApprovalNeeded":
                    break
            if trouble == "reload":
                proxy.tell("reload")
            elif trouble == "restart":
                proxy.stop()
                proxy.start()
            client.send_event("h", {"type": "Approval", "value": {"approved": True}})
            seen += events
        assert client.wait_for_handler("h", timeout=20, result_type=bool).output is True
    log = [(event["type"], event["value"]) for event in server.events("h", options="&include_internal=true")]
    assert [(event.type, event.value) for event in seen] == log


def test_everything_else_passes(tmp_path: Path, server: Served) -> None:
    with nginx(tmp_path, server.url) as proxy:
        client = WorkflowClient.sync(base_url=proxy.url, failures="return")
        assert client.run_workflow("greet", start_event={"name": "Ada"}, result_type=str).output == "Hello, Ada!"
        assert client.run_workflow("fail").error == "the printer is on fire"
        assert client.run_workflow("greet", handler_id="a b/é".replace("/", "-")).status == "completed"
        assert "<html" in httpx.get(f"{proxy.url}/").text.lower()
        with pytest.raises(httpx.HTTPStatusError, match="404 Not Found"):
            client.get_handler("nobody")
