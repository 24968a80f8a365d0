"""Applications that nobody here made go to a host over SSH, and back, by the examples."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.applications import Release, Street
from tests.lab.labs import Lab, up

from otapgate.demo.wheels import fetch

pytestmark = pytest.mark.slow

PASSWORD = "Kastanje-en-Linde-26"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Lab]:
    """A test host of its own."""
    made = up(tmp_path / "lab", "hosts:\n  t1: {stage: T}\n  p1: {stage: P}\n")
    yield made
    made.down()


def deployed(street: Street, release: Release, previous: Release | None = None) -> None:
    said = street.do(street.plan(release, previous), "run")
    assert said["outcome"] == "succeeded", said
    assert said["completeness"]["outcome"] == "complete", said


def rehearsed(street: Street, release: Release, previous: Release, faults: str = "none") -> None:
    """Deployed, gone back from, and cut short; the state came back each time."""
    said = street.do(street.plan(release, previous), f"rehearse:{faults}")
    assert said["outcome"] == "restored", said["cases"]
    cuts = said["cases"][1:]
    assert len(cuts) >= 9 or faults == "none", "three tasks at least, each in three ways"
    assert all(case["restored"] for case in said["cases"]), said


def passes_plan(street: Street, release: Release, plan: str) -> None:
    said = street.tested(release, plan)
    assert said["outcome"] == "passed", said


class Radicale:
    """The calendar server's example, and what its users do."""

    PORT = 5232

    def __init__(self, folder: Path, lab: Lab) -> None:
        variables = {"home": "/srv/radicale", "port": self.PORT}
        self.street = Street(folder, lab, variables, {"calendar_password": PASSWORD})
        for series in ("3.4", "3.5"):
            pins = self.street.folder / f"playbooks/radicale/requirements-{series}.txt"
            fetch(pins, self.street.folder / f"build/radicale-{series}", "/usr/bin/python3")
        self.old, self.new = (self.street.release(f"radicale-{one}") for one in ("3.4", "3.5"))

    def ask(self, method: str, path: str, *more: str, user: str = f"rooster:{PASSWORD}") -> str:
        """What the server answers a user, its status on the last line."""
        url = f"http://127.0.0.1:{self.PORT}/rooster/{path}"
        command = ["curl", "-sS", "-u", user, "-X", method, "-w", "\n%{http_code}", *more, url]
        return self.street.said(command)

    def fill(self) -> None:
        assert self.ask("MKCALENDAR", "agenda/").endswith("201")
        for number in range(3):
            event = (
                "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//NL\r\nBEGIN:VEVENT\r\n"
                f"UID:u{number}\r\nDTSTAMP:20260901T080000Z\r\nDTSTART:2026091{number}T100000Z\r\n"
                f"SUMMARY:Ouderavond {number}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
            )
            said = self.ask("PUT", f"agenda/{number}.ics", "-H", "Content-Type: text/calendar",
                            "--data-binary", event)  # fmt: skip
            assert said.endswith("201"), said

    def version(self) -> str:
        """Of the process that runs, by the file it was started from."""
        code = "import importlib.metadata as m; print(m.version('radicale'))"
        (pid,) = self.street.said(["cat", "/run/radicale.pid"]).split()
        python = self.street.said(["cat", f"/proc/{pid}/cmdline"]).split("\0")[0]
        return self.street.said([python, "-c", code]).strip()


@pytest.fixture
def radicale(tmp_path: Path, host: Lab) -> Radicale:
    made = Radicale(tmp_path / "street", host)
    deployed(made.street, made.old)
    made.fill()
    return made


def test_radicale_is_upgraded_and_goes_back_with_its_calendars(radicale: Radicale) -> None:
    rehearsed(radicale.street, radicale.new, radicale.old)
    assert radicale.version() == "3.4.1"
    plan = radicale.street.plan(radicale.new, radicale.old)
    said = radicale.street.do(plan, "run")
    assert said["outcome"] == "succeeded", said
    assert radicale.version() == "3.5.10"
    passes_plan(radicale.street, radicale.new, "radicale")
    assert "Ouderavond 2" in radicale.ask("GET", "agenda/")
    assert radicale.ask("GET", "agenda/", user="rooster:wrong").endswith("401")
    # what is entered afterwards is lost, as the contract says
    assert radicale.ask("DELETE", "agenda/2.ics").endswith("200")
    said = radicale.street.do(plan, "go_back")
    assert (said["outcome"], said["left"]) == ("rolled-back", []), said
    assert radicale.version() == "3.4.1"
    assert "Ouderavond 2" in radicale.ask("GET", "agenda/")


def test_radicale_that_was_never_there_is_gone_without_a_trace(tmp_path: Path, host: Lab) -> None:
    made = Radicale(tmp_path / "street", host)
    said = made.street.do(made.street.plan(made.old), "rehearse")
    assert said["outcome"] == "restored", said
    assert made.street.on_host(["getent", "passwd", "radicale"]).returncode == 2
    assert made.street.said(["ls", "/srv"]) == ""


class Website:
    """The site's example on Debian's nginx, as installing the package leaves it."""

    PORT = 8088

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.street = Street(folder, lab, {"home": "/srv/school", "port": self.PORT}, {})
        # what the package's installation would have done
        self.street.said(["mkdir", "-p", "/var/log/nginx", "/var/lib/nginx"])
        self.old, self.new = (self.street.release(f"website-{one}") for one in ("1.0", "1.1"))

    def page(self, path: str = "") -> str:
        """What a visitor gets, headers too."""
        return self.street.said(["curl", "-sSi", f"http://127.0.0.1:{self.PORT}/{path}"])


def test_a_website_by_a_role_is_renewed_and_goes_back(tmp_path: Path, host: Lab) -> None:
    made = Website(tmp_path / "street", host)
    deployed(made.street, made.old)
    assert "Versie 1.0" in made.page()
    rehearsed(made.street, made.new, made.old)
    assert "Versie 1.0" in made.page()
    plan = made.street.plan(made.new, made.old)
    assert made.street.do(plan, "run")["outcome"] == "succeeded"
    assert "Versie 1.1" in made.page()
    assert "Content-Security-Policy: default-src 'self'" in made.page()
    assert "ouderavond" in made.page("agenda.html")
    host.rules.open("admin", "t1", Website.PORT)
    passes_plan(made.street, made.new, "website")
    said = made.street.do(plan, "go_back")
    assert (said["outcome"], said["left"]) == ("rolled-back", []), said
    assert "Versie 1.0" in made.page()
    assert "Content-Security-Policy" not in made.page()
    assert "404 Not Found" in made.page("agenda.html")


class Time:
    """The example of a published role, on Debian's chrony as installing it leaves it."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.street = Street(folder, lab, {}, {})
        playbooks = self.street.folder / "playbooks/time"
        published(playbooks / "roles.txt", "share/ansible/roles/", playbooks / "roles")
        # what the package's installation would have done; a lab's hosts can't set the clock
        self.street.said(["useradd", "--system", "--home-dir", "/var/lib/chrony", "_chrony"])
        self.street.said(["mkdir", "-p", "/var/lib/chrony", "/var/log/chrony"])
        self.street.said(["chown", "_chrony:", "/var/lib/chrony", "/var/log/chrony"])
        self.street.said(
            ["sed", "-i", 's/^DAEMON_OPTS=.*/DAEMON_OPTS="-x"/', "/etc/default/chrony"]
        )
        # and can't see which program another account's process is, nor wait as systemd would
        stop = "/--stop/s/--exec $DAEMON/--name $NAME --retry 10/"
        self.street.said(["sed", "-i", stop, "/etc/init.d/chrony"])
        self.old, self.new = (self.street.release(f"time-{one}") for one in ("1.0", "1.1"))

    def servers(self) -> list[str]:
        """Those that the process that runs would ask, by itself."""
        lines = self.street.said(["chronyc", "-n", "-c", "sources"]).split()
        return sorted(line.split(",")[2] for line in lines)


def published(pins: Path, below: str, target: Path) -> None:
    """The roles of a package that `pins` names, which lie in it `below` a path."""
    for wheel in fetch(pins, pins.parent / "wheels"):
        with zipfile.ZipFile(wheel) as packed:
            for name in packed.namelist():
                _before, found, rest = name.partition(below)
                if found and not name.endswith("/"):
                    (target / rest).parent.mkdir(parents=True, exist_ok=True)
                    (target / rest).write_bytes(packed.read(name))
        wheel.unlink()


def test_time_by_a_published_role(tmp_path: Path, host: Lab) -> None:
    made = Time(tmp_path / "street", host)
    before = made.street.said(["sha256sum", "/etc/chrony/conf.d/README"])
    deployed(made.street, made.old)
    assert made.servers() == ["192.0.2.10"]
    rehearsed(made.street, made.new, made.old)
    assert made.servers() == ["192.0.2.10"]
    plan = made.street.plan(made.new, made.old)
    assert made.street.do(plan, "run")["outcome"] == "succeeded"
    assert made.servers() == ["192.0.2.10", "192.0.2.11"]
    passes_plan(made.street, made.new, "time")
    said = made.street.do(plan, "go_back")
    assert (said["outcome"], said["left"]) == ("rolled-back", []), said
    assert made.servers() == ["192.0.2.10"]
    assert made.street.said(["sha256sum", "/etc/chrony/conf.d/README"]) == before


class Agenda:
    """The database's example: a server, and a schema in two versions."""

    PORT = 5444

    def __init__(self, folder: Path, lab: Lab) -> None:
        variables = {"home": "/srv/agenda-db", "port": self.PORT}
        self.street = Street(folder, lab, variables, {"agenda_password": PASSWORD})
        self.server = self.street.release("agenda-server")
        self.old, self.new = (self.street.release(f"agenda-{one}") for one in ("1.0", "1.1"))

    def sql(self, text: str) -> str:
        """What the application's user is answered, over TCP by its password."""
        url = f"postgresql://agenda@127.0.0.1:{self.PORT}/agenda"
        command = ["env", f"PGPASSWORD={PASSWORD}", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1"]
        return self.street.said([*command, "-c", text, url]).strip()


def test_a_schema_is_migrated_and_goes_back_with_its_rows(tmp_path: Path, host: Lab) -> None:
    made = Agenda(tmp_path / "street", host)
    said = made.street.do(made.street.plan(made.server), "rehearse")
    assert said["outcome"] == "restored", said
    assert made.street.said(["ls", "/srv"]) == ""
    deployed(made.street, made.server)
    deployed(made.street, made.old)
    made.sql("INSERT INTO appointment (day, title) SELECT date '2026-09-01' + n, 'Les ' || n"
             " FROM generate_series(1, 40) n")  # fmt: skip
    rehearsed(made.street, made.new, made.old)
    plan = made.street.plan(made.new, made.old)
    said = made.street.do(plan, "run")
    assert said["outcome"] == "succeeded", said
    assert made.sql("SELECT count(*) FROM appointment WHERE room = 'aula'") == "40"
    passes_plan(made.street, made.new, "agenda")
    made.sql("DELETE FROM appointment")
    said = made.street.do(plan, "go_back")
    assert (said["outcome"], said["left"]) == ("rolled-back", []), said
    assert made.sql("SELECT count(*) FROM appointment") == "40"
    columns = "SELECT string_agg(column_name, ' ' ORDER BY ordinal_position)"
    columns += " FROM information_schema.columns WHERE table_name = 'appointment'"
    assert made.sql(columns) == "id day title"
    assert made.sql("SELECT nextval('appointment_id_seq')") == "41"
    for output in (made.street.folder / ".otapgate/runs").rglob("output/*.txt"):
        assert PASSWORD not in output.read_text()


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("example", "faults"),
    [(Radicale, "all"), (Website, "all"), (Agenda, "all"), (Time, "sample:8")],
)
def test_an_example_comes_back_from_cuts_at_its_tasks(
    tmp_path: Path,
    host: Lab,
    example: type[Radicale | Website | Agenda | Time],
    faults: str,
) -> None:
    made = example(tmp_path / "street", host)
    if isinstance(made, Time):
        # the role also lets chrony start with the host, where it didn't
        said = made.street.do(made.street.plan(made.old), "rehearse")
        assert said["outcome"] == "restored", said
        assert made.street.on_host(["test", "-e", "/etc/chrony/chrony.conf"]).returncode == 1
    if isinstance(made, Agenda):
        made.street.do(made.street.plan(made.server), "run")
    assert made.street.do(made.street.plan(made.old), "run")["outcome"] == "succeeded"
    rehearsed(made.street, made.new, made.old, faults)
