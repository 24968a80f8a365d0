"""The tasks in docs/how-to/run-a-service.md keep a service running, and end it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from tests import ports

from otapgate.execution.runner import ansible_binary

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "run-a-service.md"
APP = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"version 1.0.0")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


@pytest.mark.slow
def test_a_service_outlives_ansible_answers_and_is_stopped(tmp_path: Path) -> None:
    _hosts, service, verify, state = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert set(yaml.safe_load(state)["state"]) == {"paths", "http", "ports"}
    (tmp_path / "service.yml").write_text(service)
    (tmp_path / "verify.yml").write_text(verify)
    (tmp_path / "current" / "site").mkdir(parents=True)
    (tmp_path / "current" / "site" / "app.py").write_text(APP)
    (port,) = ports.free(1)

    def play(wanted: str, *more: str) -> str:
        tasks = "".join(f"    - import_tasks: {name}.yml\n" for name in ("service", *more))
        playbook = tmp_path / "play.yml"
        playbook.write_text("- hosts: all\n  gather_facts: false\n  tasks:\n" + tasks)
        said = {"place": str(tmp_path), "port": port, "service": wanted,
                "otapgate_release": {"version": "1.0.0"},
                "ansible_python_interpreter": sys.executable}  # fmt: skip
        done = subprocess.run(
            [ansible_binary("ansible-playbook"), "-i", "localhost,", "-c", "local",
             "-e", yaml.safe_dump(said, default_flow_style=True, width=10_000), str(playbook)],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                 "HOME": str(tmp_path)},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        assert "changed=1" in play("started", "verify")
        assert "changed=0" in play("started"), "twice does no harm"
        assert "changed=2" in play("restarted", "verify")
    finally:
        play("stopped")
    assert "changed=0" in play("stopped")
    time.sleep(0.2)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2)
