"""A release's digest depends on what it says, not on where its text came from."""

import msgspec

from otapgate.release import manifest as m


def _release(method: str, compare: str) -> m.Manifest:
    state = m.State(http=(m.HttpState(url="http://x/", method=method, compare=compare),))  # type: ignore[arg-type]
    return m.Manifest("app", "1", "street", (), {}, state, (), ())


def test_equal_manifests_have_one_digest_whatever_made_their_text():
    literal = _release("GET", "status")
    made = _release("".join(["G", "ET"]), "".join(["sta", "tus"]))
    assert literal == made
    assert literal.digest == made.digest


def test_a_manifest_read_back_has_the_digest_that_it_was_stored_under():
    before = _release("GET", "body")
    again = m.decode(before.encoded())
    assert again == before
    assert again.digest == before.digest
    assert msgspec.structs.astuple(again) == msgspec.structs.astuple(before)


def test_what_came_later_isnt_in_the_digest_where_it_says_nothing():
    """A release from before services, packages and passwords keeps its name."""
    state = m.State(databases=(m.DatabaseState("sqlite:////x"),))
    old = m.Manifest("app", "1", "street", (), {}, state, (), ())
    text = old.encoded().decode()
    assert not any(word in text for word in ("services", "packages", "surroundings", "password"))
    for later in (
        m.State(services=("app",)),
        m.State(packages=("dpkg",)),
        m.State(surroundings=False),
        m.State(databases=(m.DatabaseState("postgresql://u@/x", password="key"),)),
    ):
        made = m.Manifest("app", "1", "street", (), {}, later, (), ())
        assert m.decode(made.encoded()) == made
