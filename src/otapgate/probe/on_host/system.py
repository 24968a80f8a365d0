"""What a host is made of: the things in which it may or may not be like another."""

from __future__ import annotations

import hashlib
import os
import platform
import re

from otapgate.probe.on_host.reading import listed, matching, program, read, text, unknown


def system(home: str) -> dict[str, dict[str, str]]:
    """Aspect → item → value. `home` is a folder whose amount of data counts as workload,
    "" for none."""
    return {
        "operating-system": _operating_system(),
        "application-software": {**_packages(), **_services()},
        "database": _databases(),
        "management": _management(),
        "network": _network(),
        "infrastructure": _infrastructure(),
        "workload": _workload(home),
    }


def _operating_system() -> dict[str, str]:
    release = dict(
        line.split("=", 1) for line in text("/etc/os-release").splitlines() if "=" in line
    )
    zone = text("/etc/timezone").strip()
    if not zone and os.path.islink("/etc/localtime"):
        zone = os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    locale = [
        line.partition("=")[2].strip().strip('"')
        for path in ("/etc/default/locale", "/etc/locale.conf")
        for line in text(path).splitlines()
        if line.startswith("LANG=")
    ]
    return {
        "system": release.get("ID", "").strip('"'),
        "version": release.get("VERSION_ID", "").strip('"'),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "time zone": zone or "UTC",
        "locale": locale[0] if locale else "-",
    }


def _packages() -> dict[str, str]:
    """`package:NAME` → version."""
    found = {}
    name = version = ""
    installed = False
    for line in [*text("/var/lib/dpkg/status").splitlines(), ""]:
        if line.startswith("Package: "):
            name = line[9:]
        elif line.startswith("Version: "):
            version = line[9:]
        elif line.startswith("Status: "):
            installed = line.endswith(" installed")
        elif not line:
            if name and installed:
                found["package:" + name] = version
            name, version, installed = "", "", False
    if not found:
        said = program("rpm", "-qa", "--qf", "%{NAME} %{VERSION}-%{RELEASE}\\n")
        pairs = [line.split(" ", 1) for line in (said or "").splitlines() if " " in line]
        found = {"package:" + pair[0]: pair[1] for pair in pairs}
    if not found:
        lines = text("/lib/apk/db/installed").splitlines()
        names = [line[2:] for line in lines if line.startswith("P:")]
        versions = [line[2:] for line in lines if line.startswith("V:")]
        found = {"package:" + one: other for one, other in zip(names, versions)}  # noqa: B905
    if not found:
        unknown("no list of packages was found")
    return found


def _services() -> dict[str, str]:
    """`service:NAME` → `enabled`, of systemd's units."""
    found = {}
    for folder in matching("/etc/systemd/system/*.wants"):
        for name in listed(folder):
            if name.endswith(".service"):
                found["service:" + name[: -len(".service")]] = "enabled"
    return found


def _databases() -> dict[str, str]:
    """Servers by version, and what their settings say."""
    found = {}
    for words in (("postgres", "--version"), ("mysqld", "--version"), ("mariadbd", "--version"),
                  ("sqlite3", "--version"), ("redis-server", "--version"),
                  ("mongod", "--version")):  # fmt: skip
        said = program(*words)
        version = re.search(r"\d+(?:\.\d+)+", said or "")
        if version:
            found[words[0]] = version.group(0)
    for path in matching("/usr/lib/postgresql/*/bin/postgres"):
        found["postgres:" + path.split("/")[4]] = "installed"
    for path in matching("/etc/postgresql/*/*/postgresql.conf", "/etc/mysql/*.cnf",
                         "/etc/mysql/*/*.cnf", "/etc/my.cnf", "/etc/redis/redis.conf"):  # fmt: skip
        for line in text(path).splitlines():
            name, equals, value = line.split("#")[0].partition("=")
            if equals and not re.search("pass|secret|key", name, re.IGNORECASE):
                found[f"setting:{os.path.basename(path)}:{name.strip()}"] = value.strip()[:200]
    return found


def _management() -> dict[str, str]:
    """By what the host is kept: agents, backups, logs, time, updates."""
    names = (
        *("chrony", "chronyd", "ntpd", "systemd-timesyncd", "rsyslogd", "auditd", "sudo"),
        *("fail2ban-server", "puppet", "salt-minion", "zabbix_agentd", "node_exporter"),
        *("telegraf", "borg", "restic", "unattended-upgrade", "ufw", "nft", "clamd"),
    )
    folders = ("/usr/sbin", "/usr/bin", "/usr/local/bin", "/lib/systemd", "/sbin", "/bin")
    found = {
        name: "present"
        for name in names
        if any(os.path.exists(os.path.join(folder, name)) for folder in folders)
    }
    for path in matching("/etc/cron.d/*", "/etc/cron.daily/*"):
        found["job:" + path] = hashlib.sha256(read(path)).hexdigest()[:16]
    return found


def _network() -> dict[str, str]:
    """Shape of the network, not the addresses: those differ by nature."""
    found: dict[str, str] = {}
    for name in listed("/sys/class/net"):
        if name == "lo" or name.startswith(("docker", "br-", "virbr")):
            continue
        kind = "wireless" if os.path.isdir(f"/sys/class/net/{name}/wireless") else "wired"
        number = sum(1 for item in found if item.startswith(kind))
        found[f"{kind} {number + 1} mtu"] = text(f"/sys/class/net/{name}/mtu").strip()
    resolvers = [
        line for line in text("/etc/resolv.conf").splitlines() if line.startswith("nameserver")
    ]
    found["resolvers"] = str(len(resolvers))
    found["ipv6"] = "yes" if text("/proc/net/if_inet6").count("\n") > 1 else "no"
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in text("/proc/net/" + table).splitlines()[1:]:
            fields = line.split()
            if len(fields) > 3 and fields[3] == "0A":
                ports.add(int(fields[1].rpartition(":")[2], 16))
    found.update({f"listens:{port}": "yes" for port in sorted(ports) if port < 32768})
    return found


def _infrastructure() -> dict[str, str]:
    processors = text("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.*)$", processors, re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", text("/proc/meminfo"), re.MULTILINE)
    place = os.statvfs("/")
    return {
        "processors": str(os.cpu_count() or 0),
        "processor": model.group(1) if model else platform.processor() or "-",
        "memory": f"{int(memory.group(1)) // 1024 if memory else 0} MiB",
        "disk": f"{place.f_blocks * place.f_frsize // 2**20} MiB",
        "machine": text("/sys/class/dmi/id/product_name").strip() or "-",
    }


def _workload(home: str) -> dict[str, str]:
    """How much there is to work on."""
    if not home:
        return {}
    size = count = 0
    for folder, _folders, files in os.walk(home):
        for name in files:
            try:
                size += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue
            count += 1
            if count > 200000:
                unknown(f"{home} holds too many files to count")
                return {}
    return {"files": str(count), "data": f"{-(-size // 2**20)} MiB"} if count else {}
