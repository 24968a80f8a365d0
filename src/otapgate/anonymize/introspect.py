"""A first plan for a database, for a person to go through.

Proposes per column from its name (Dutch and English), type and some values, and says why
in a comment. Nothing is decided silently: what isn't recognised gets `decide`, which stops
a run until somebody has answered.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator

import msgspec

from otapgate.anonymize import schema as schemas
from otapgate.anonymize.schema import Column, Schema, Table, quoted
from otapgate.i18n import _

_SAMPLE = 200


class Proposal(msgspec.Struct, frozen=True):
    """A transform as YAML text in flow style, and why."""

    rule: str
    reason: str


class _Pattern(msgspec.Struct, frozen=True):
    name: re.Pattern[str]
    rule: str
    reason: str
    unique: str | None = None
    """What to use instead where the column must be unique."""


def _pattern(words: str, rule: str, reason: str, unique: str | None = None) -> _Pattern:
    # A word of a name: between underscores or ends; names in camel case are split first.
    return _Pattern(re.compile(rf"(?:^|_)(?:{words})(?:_|$)"), rule, reason, unique)


_NAMES = (
    _pattern(
        "bsn|sofi|sofinummer|burgerservicenummer|persoonsgebonden_nummer|pgn",
        "{transform: permute, format: bsn}",
        "citizen service number; replacing it is compulsory",
    ),
    _pattern("iban|bankrekening|rekeningnummer", "{transform: permute, format: iban}", "bank"),
    _pattern(
        "e_?mail|mail|emailadres|mailadres|email_address",
        "{transform: email}",
        "e-mail address",
    ),
    _pattern(
        "phone|telefoon|telefoonnummer|tel|mobiel|mobile|gsm|fax|telnr",
        "{transform: phone}",
        "telephone number",
        "decide",
    ),
    _pattern(
        "voornaam|voornamen|roepnaam|first_?name|given_?name|forename",
        "{transform: fake, domain: person.first_name}",
        "first name",
        "{transform: fake, domain: person.first_name, unique: true}",
    ),
    _pattern(
        "achternaam|geslachtsnaam|familienaam|last_?name|surname|family_?name|meisjesnaam",
        "{transform: fake, domain: person.last_name}",
        "family name",
        "{transform: fake, domain: person.last_name, unique: true}",
    ),
    _pattern("voorletters|initialen|initials", "{transform: fake, domain: person.initials}",
             "initials", "decide"),
    _pattern("tussenvoegsel|voorvoegsel|infix", "drop", "part of a name"),
    _pattern(
        "volledige_naam|full_?name|display_?name|weergavenaam|contactpersoon|ouder|verzorger",
        "{transform: fake, domain: person.full_name}",
        "full name",
        "{transform: fake, domain: person.full_name, unique: true}",
    ),
    _pattern("straat|straatnaam|street|street_?name", "{transform: fake, domain: street}",
             "street", "decide"),
    _pattern("huisnummer|house_?number|huisnr|toevoeging",
             "{transform: fake, domain: house_number}", "house number", "decide"),
    _pattern("postcode|zip|zipcode|zip_?code|postal_?code",
             "{transform: fake, domain: postcode}", "postal code", "decide"),
    _pattern("plaats|woonplaats|city|town|gemeente|geboorteplaats|birth_?place",
             "{transform: fake, domain: city}", "place", "decide"),
    _pattern("adres|address", "{transform: fake, domain: address}", "address", "decide"),
    _pattern("bedrijf|bedrijfsnaam|company|company_?name|werkgever",
             "{transform: fake, domain: company}", "firm", "decide"),
    _pattern(
        "leerlingnummer|leerlingnr|studentnummer|student_?number|personeelsnummer|eckid|eck_?id"
        "|onderwijsnummer|login|username|user_?name|gebruikersnaam|inlognaam|account",
        "pseudonym",
        "identifies somebody",
    ),
    _pattern(
        "geboortedatum|birth_?date|date_?of_?birth|dob|geb_?datum|overlijdensdatum",
        "{transform: generalise, to: month}",
        "date of birth; date_shift keeps more, year hides more",
        "decide",
    ),
    _pattern(
        "note|notes|notitie|notities|opmerking|opmerkingen|omschrijving|comment|comments|"
        "toelichting|memo|remark|remarks|beschrijving|description|bericht|message|body|tekst|"
        "signature|handtekening|verslag",
        "{transform: free_text, mode: redact}",
        "free text may say anything about anybody",
        "decide",
    ),
    _pattern(
        "password|wachtwoord|password_?hash|passwd|pwd|token|secret|geheim|cookie|api_?key|"
        "session|sessie|salt",
        "drop",
        "secret of production",
        "pseudonym",
    ),
    _pattern("ip|ip_?address|ip_?adres|user_?agent|mac_?address", "drop", "traffic data",
             "decide"),
    _pattern("foto|photo|picture|avatar|image|logo|pasfoto", "drop", "a picture", "decide"),
    _pattern("religie|geloof|religion|nationaliteit|nationality|etnic\\w*|medisch\\w*|diagnose",
             "drop", "special category of personal data (GDPR article 9)", "decide"),
)  # fmt: skip

_VALUES = (
    (re.compile(r"[^@\s]+@[^@\s]+\.[a-zA-Z]{2,}"), "{transform: email}", "e-mail addresses"),
    (re.compile(r"(\+31|0031|0)[ -]?6[ -]?(\d[ -]?){8}"), "{transform: phone}", "mobile numbers"),
    (re.compile(r"[A-Z]{2}\d{2}[A-Z]{4}\d{10}"), "{transform: permute, format: iban}", "IBANs"),
    (re.compile(r"\d{4} ?[A-Z]{2}"), "{transform: fake, domain: postcode}", "postal codes"),
)

_TECHNICAL = re.compile(
    r"(?:^|_)(?:create_date|write_date|created_at|updated_at|modified|gewijzigd|aangemaakt|"
    r"create_uid|write_uid|sequence|volgorde|active|actief|version|versie)(?:_|$)"
)
_VOLATILE = re.compile(r"(?:^|_)(?:session|sessions|sessie|sessies|log|logs|audit|cache)(?:_|$)")
_NUMBERS = ("INT", "BOOL", "NUM", "DEC", "REAL", "DOUB", "FLOA")


def propose(url: str) -> str:
    """YAML text of a first plan for the database at `url`.

    Raises BadInput when it can't be read or has unsupported features.
    """
    path = schemas.location(url)
    connection = schemas.open_source(path)
    try:
        schema = schemas.read_schema(connection, str(path))
        name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-") or "plan"
        lines = [
            "# yaml-language-server: $schema=../schemas/anonymizer.json",
            "# " + _("A proposal. Go through every line; `decide` stops a run until answered."),
            f"name: {name}",
            "locale: nl_NL",
            "tables:",
        ]
        for table in schema.tables.values():
            lines.extend(_table(connection, table))
        lines.append(schema_part(schema))
    except sqlite3.Error as error:
        raise schemas.sqlite_failed(error, _("reading the source")) from error
    finally:
        connection.close()
    return "\n".join(lines)


def schema_part(schema: Schema) -> str:
    """The `schema:` part of a plan: what it was written for."""
    lines = [
        "# " + _("Written by the tool: what was there when the plan was made. What is new stops"),
        "# " + _("a run. After deciding about it, replace this part by a fresh one."),
        "schema:",
        f"  digest: {schema.digest}",
        "  tables:" if schema.tables else "  tables: {}",
    ]
    for name, table in sorted(schema.tables.items()):
        columns = ", ".join(_scalar(column.name) for column in table.columns)
        lines.append(f'    {_scalar(name)}: {{digest: "{table.digest}", columns: [{columns}]}}')
    return "\n".join(lines) + "\n"


def _table(connection: sqlite3.Connection, table: Table) -> Iterator[str]:
    yield f"  {_scalar(table.name)}:"
    if _VOLATILE.search(_words(table.name)):
        yield "    empty: true  # " + _("sessions, logs and caches have no place in a test")
        return
    references = {
        row[3] for row in connection.execute(f"PRAGMA foreign_key_list({quoted(table.name)})")
    }
    yield "    columns:"
    for column in table.stored:
        made = _column(connection, table, column, column.name in references)
        yield f"      {_scalar(column.name)}: {made.rule}  # {made.reason}"


def _column(
    connection: sqlite3.Connection, table: Table, column: Column, reference: bool
) -> Proposal:
    return (
        _by_name(table, column, reference)
        or _by_role(column, reference)
        or _by_values(_values(connection, table, column))
    )


def _by_name(table: Table, column: Column, reference: bool) -> Proposal | None:
    words = _words(column.name)
    alone = (column.name,) in table.unique
    for pattern in _NAMES:
        if pattern.name.search(words):
            if _is_number(column) and pattern.rule not in ("drop", "pseudonym") and reference:
                break
            rule = pattern.unique if alone and pattern.unique else pattern.rule
            if rule == "drop" and (column.not_null or column.key):
                return Proposal(
                    "decide", _("doubt: {why}, and may not be empty").format(why=pattern.reason)
                )
            return Proposal(rule, _("name: {why}").format(why=pattern.reason))
    return None


def _by_role(column: Column, reference: bool) -> Proposal | None:
    reason = None
    if reference:
        reason = _("refers to another table")
    elif column.key and _is_number(column):
        reason = _("number of the row")
    elif _TECHNICAL.search(_words(column.name)):
        reason = _("technical")
    elif "BOOL" in column.type.upper():
        reason = _("yes or no")
    return Proposal("keep", reason) if reason else None


def _by_values(values: list[str]) -> Proposal:
    for pattern, rule, what in _VALUES:
        if values and sum(bool(pattern.fullmatch(v)) for v in values) * 2 > len(values):
            return Proposal(rule, _("values look like {what}").format(what=what))
    if not values:
        return Proposal("decide", _("doubt: no values to go by"))
    return Proposal("decide", _("doubt: not recognised"))


def _values(connection: sqlite3.Connection, table: Table, column: Column) -> list[str]:
    name = quoted(column.name)
    rows = connection.execute(
        f"SELECT {name} FROM main.{quoted(table.name)} "  # noqa: S608 - quoted
        f"WHERE {name} IS NOT NULL LIMIT {_SAMPLE}"
    )
    return [str(value) for (value,) in rows if not isinstance(value, bytes)]


def _is_number(column: Column) -> bool:
    return any(kind in column.type.upper() for kind in _NUMBERS)


def _words(name: str) -> str:
    """A name in lower case with underscores between its words."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", split.lower())


def _scalar(text: str) -> str:
    """A name as YAML, quoted where it could be read as something else."""
    if re.fullmatch(r"[a-zA-Z_][\w.]*", text, re.ASCII) and text.lower() not in (
        "null", "true", "false", "yes", "no", "on", "off", "y", "n",
    ):  # fmt: skip
        return text
    return json.dumps(text, ensure_ascii=False)
