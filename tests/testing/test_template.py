"""Templates over an environment's variables."""

from __future__ import annotations

import pytest

from otapgate.errors import BadInput
from otapgate.testing.template import fault, names, render, value


def test_variables_of_variables_are_filled_in() -> None:
    variables = {"url": "http://{{ host }}:{{ port }}", "host": "{{ name }}.local", "name": "a",
                 "port": 80}  # fmt: skip
    assert render("{{ url }}/x", variables) == "http://a.local:80/x"


@pytest.mark.parametrize(
    "text",
    [
        "{{ absent }}",
        "{{ port",
        "{{ loop }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ 1 / 0 }}",
        "{% for i in range(9**9) %}x{% endfor %}",
    ],
)
def test_what_can_not_be_filled_in_is_an_error(text: str) -> None:
    with pytest.raises(BadInput) as error:
        render(text, {"loop": "{{ loop }}"})
    assert error.value.code == "template-unresolved"


def test_text_without_templates_stays_as_it_is() -> None:
    assert render("a\n", {}) == "a\n"


def test_a_fault_is_told_without_variables() -> None:
    assert fault("{{ a }}") is None
    assert fault("{{ a }")
    assert fault("{% if %}")


def test_a_variable_alone_keeps_what_it_is() -> None:
    variables = {"port": 8069, "url": "http://x:{{ port }}", "on": True, "all": [1]}
    assert value("{{ port }}", variables) == 8069
    assert value("{{ on }}", variables) is True
    assert value("{{ all }}", variables) == [1]
    assert value("{{ url }}", variables) == "http://x:8069"
    assert value("port {{ port }}", variables) == "port 8069"
    assert value({"a": ["{{ port }}", 2]}, variables) == {"a": [8069, 2]}
    with pytest.raises(BadInput):
        value("{{ absent }}", variables)


def test_the_variables_of_a_template_can_be_told() -> None:
    assert names("{{ a.b }} {% for x in range(c) %}{{ x }}{% endfor %} {{ d | default(1) }}") == {
        "a", "c", "d",
    }  # fmt: skip
    assert names("nothing") == set()
