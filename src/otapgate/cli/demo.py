"""`otapgate demo`: the main story on a complete example."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otapgate.cli.output import Reply
from otapgate.i18n import _


def demo(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help=_("Where the example comes."))
    ] = Path("otapgate-demo"),
    fast: Annotated[bool, typer.Option("--fast", help=_("Fewer invented people."))] = False,
    prepare: Annotated[
        bool,
        typer.Option("--prepare", help=_("Only set the scene; the tutorial goes on by hand.")),
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help=_("Restart test and acceptance of the example."))
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help=_("Stop the example's services."))] = False,
) -> Reply:
    from otapgate.demo import scene
    from otapgate.demo.story import Story

    directory = directory.resolve()
    if stop:
        scene.stop(directory)
        return Reply({"directory": str(directory)}, _("The example's services are stopped."))
    if restart:
        for stage in "TA":
            scene.play(directory, stage, "restart.yml")
        return Reply({"directory": str(directory)}, _("Test and acceptance were restarted."))
    story = Story(directory, fast=fast)
    story.prepare()
    if prepare:
        return Reply(
            {"directory": str(directory)},
            _("The scene is set in {directory}.").format(directory=directory),
        )
    story.tell()
    return Reply({"directory": str(directory), "change": story.change, "release": story.new}, "")
