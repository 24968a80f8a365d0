"""`python -m tests.campaign [--workers N] [--scene NAME] [--only TEXT] [--every N] [DIR]`"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from .campaign import campaign, work
from .scenes import SCENES


def main() -> int:
    if sys.argv[1:2] == ["work"]:
        _work, scene, home, folder, how = sys.argv[1:]
        work(scene, Path(home), Path(folder), alone=how == "alone")
        return 0
    asked = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    asked.add_argument("place", nargs="?", type=Path, metavar="DIR")
    asked.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked.add_argument("--scene", action="append", choices=[scene.name for scene in SCENES])
    asked.add_argument("--only", default="", help="points whose title holds this")
    asked.add_argument("--every", type=int, default=1, help="one in so many")
    given = asked.parse_args()
    place = given.place or Path(tempfile.mkdtemp(prefix="campaign-"))
    place.mkdir(parents=True, exist_ok=True)
    os.environ["XDG_STATE_HOME"] = str(place / "state")
    scenes = [scene for scene in SCENES if given.scene is None or scene.name in given.scene]
    found = campaign(place, scenes, workers=given.workers, only=given.only, every=given.every)
    print(json.dumps(found, indent=2, ensure_ascii=False))
    print(f"every point: {place / 'outcomes.jsonl'}", file=sys.stderr)
    return 1 if found["undecided"] else 0


if __name__ == "__main__":
    sys.exit(main())
