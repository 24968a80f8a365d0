"""What differs between two releases. Pure: manifests in, names out."""

from __future__ import annotations

from otapgate.landscape.model import Value
from otapgate.release.manifest import Manifest

_DECLARED = ("app", "version", "street", "plans", "state", "installs")


class Difference(Value, frozen=True):
    """What changes from one release to another; paths are the release's own, sorted."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """Files with other bytes, or that became or stopped being executable."""
    variables: tuple[str, ...] = ()
    """Names of variables that came, went or got another value."""
    declared: tuple[str, ...] = ()
    """What else the release file says otherwise: app, version, street, plans, state,
    installs."""

    @property
    def same(self) -> bool:
        """Whether the two are one and the same release."""
        return self == Difference()

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that isn't the same in both."""
        return tuple(sorted({*self.added, *self.removed, *self.changed}))


def diff(a: Manifest, b: Manifest) -> Difference:
    """What changes from `a` to `b`; empty exactly when their digests are equal."""
    before = {file.path: file for file in a.files}
    after = {file.path: file for file in b.files}
    return Difference(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(
            sorted(path for path in before.keys() & after.keys() if before[path] != after[path])
        ),
        variables=tuple(
            sorted(
                name
                for name in a.variables.keys() | b.variables.keys()
                if not _alike(a.variables, b.variables, name)
            )
        ),
        declared=tuple(name for name in _DECLARED if getattr(a, name) != getattr(b, name)),
    )


def _alike(a: dict[str, object], b: dict[str, object], name: str) -> bool:
    if name not in a or name not in b:
        return False
    # Python holds True and 1 for equal; the digest doesn't.
    return _typed(a[name]) == _typed(b[name])


def _typed(value: object) -> object:
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_typed(item) for item in value]
    return (type(value).__name__, value)
