"""The files in docs/how-to/describe-your-street.md are read as the page says."""

from __future__ import annotations

import re
from pathlib import Path

from otapgate.landscape.load import check_all, load

PAGE = Path(__file__).parents[2] / "docs/how-to/describe-your-street.md"


def test_the_files_on_the_page_make_a_landscape(root: Path) -> None:
    street, jump, secrets, rules, calendar = re.findall(
        r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL
    )
    (root / "environments/agenda.yml").write_text(
        "street: agenda\nenvironments:\n"
        + "".join(
            f"  - name: agenda-{stage}\n    stage: {stage}\n    owner: Femke de Groot\n"
            f"    data: {{class: {kind}}}\n"
            + jump.replace("192.0.2.21", address).replace("agenda-1", f"host-{stage}")
            for stage, kind, address in (
                ("T", "none", "192.0.2.21"), ("P", "production", "192.0.2.31"),
            )
        )
    )  # fmt: skip
    assert [str(problem) for problem in check_all(root)] == []
    assert load(root).environments()[0].variables["ansible_ssh_common_args"].startswith("-J ")
    (root / "environments/agenda.yml").write_text(street + secrets)
    (root / "calendar.yml").write_text(calendar)
    with (root / "policy.yml").open("a") as policy:
        policy.write(rules)
    assert check_all(root) == []
    landscape = load(root)
    assert [env.name for env in landscape.environments()] == ["agenda-T", "agenda-P"]
    assert landscape.environments()[1].secrets == ("db_password", "ansible_become_password")
    assert landscape.policy.rules["OG301"].until == "2026-08-01"
    assert landscape.freezes[0].end == "2026-05-29T00:00:00+02:00"
