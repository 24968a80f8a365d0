# Runs on hosts by whatever Python from 3.8 they have: old forms on purpose.
# mypy: ignore-errors
"""Schema and rows of a PostgreSQL database, by psql, as one transaction sees them.

Nothing in it depends on what a restored dump may have otherwise: numbers of objects, the
order of rows, how many values of a sequence a session holds. Comments, statistics and the
tables' place on disk don't count.
"""

import re
import urllib.parse

from .clients import Client, ClientError, parsed, unwanted

MARK = (b"\\!end\n", b"\n\\echo '\\\\!end'\n")  # in COPY's text a backslash is followed by others
BEGIN = """
SET client_encoding = 'UTF8'; SET standard_conforming_strings = on;
SET search_path = ''; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres';
SET TimeZone = 'UTC'; SET extra_float_digits = 3; SET bytea_output = 'hex';
SET xmloption = 'content'; SET quote_all_identifiers = off;
SET row_security = off; SET statement_timeout = 0;
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
"""
OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
# what an extension brings is compared by the extension's version
LOOSE = (
    "NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.deptype = 'e'"
    " AND e.objid = %s AND e.classid = 'pg_catalog.%s'::pg_catalog.regclass)"
)
# the defaults written out and none at all are the same
ACL = (
    "(SELECT pg_catalog.string_agg(x::text, ' ' ORDER BY x::text) FROM pg_catalog.unnest("
    "coalesce(%s, pg_catalog.acldefault('%s', %s))) x)"
)
FROM_TABLE = (
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace %s"
    " WHERE " + OURS + " AND %s"
)
KINDS = {"r": "table", "p": "table", "f": "table", "m": "materialized view", "v": "view",
         "S": "sequence"}  # fmt: skip

RELATIONS = (
    "SELECT n.nspname, c.relname, c.relkind, pg_catalog.pg_get_userbyid(c.relowner), "
    + ACL % ("c.relacl", "r", "c.relowner")
    + ", pg_catalog.concat_ws(' ', c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,"
    " c.relreplident, c.reloptions::text, pg_catalog.pg_get_expr(c.relpartbound, c.oid),"
    " CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END, (SELECT"
    " pg_catalog.string_agg(i.inhparent::pg_catalog.regclass::text, ',' ORDER BY i.inhseqno)"
    " FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)),"
    " CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END"
    + FROM_TABLE
    % ("", "c.relkind IN ('r', 'p', 'f', 'm', 'v', 'S')")
)
COLUMNS = (
    "SELECT n.nspname, c.relname, a.attname,"
    " pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,"
    " pg_catalog.pg_get_expr(d.adbin, d.adrelid), pg_catalog.concat(a.attidentity),"
    " pg_catalog.to_jsonb(a) ->> 'attgenerated',"
    " CASE WHEN a.attcollation <> t.typcollation"
    " THEN a.attcollation::pg_catalog.regcollation::text END,"
    + ACL % ("a.attacl", "c", "c.relowner")
    + FROM_TABLE
    % (
        "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid"
        " JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
        " LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum",
        "a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f', 'm', 'v')",
    )
)
PARTS = ("type", "not null", "default", "identity", "generated", "collation", "grants")
# kind, name, definition, and the schema and table that it is of
OBJECTS = (
    "SELECT 'constraint', k.conname, pg_catalog.pg_get_constraintdef(k.oid) ||"
    " CASE WHEN k.convalidated THEN '' ELSE ' NOT VALID' END, n.nspname, c.relname"
    + FROM_TABLE % ("JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid",
                    "k.contype <> 'n' AND k.contype <> 't'"),
    "SELECT 'index', n.nspname || '.' || i.relname, pg_catalog.pg_get_indexdef(i.oid) ||"
    " CASE WHEN x.indisvalid THEN '' ELSE ' INVALID' END || CASE WHEN x.indisclustered"
    " THEN ' CLUSTER' ELSE '' END, n.nspname, c.relname"
    + FROM_TABLE % ("JOIN pg_catalog.pg_index x ON x.indrelid = c.oid"
                    " JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid", "c.relkind <> 't'"),
    "SELECT 'trigger', t.tgname, pg_catalog.pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text,"
    " n.nspname, c.relname"
    + FROM_TABLE % ("JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid", "NOT t.tgisinternal"),
    "SELECT 'rule', r.rulename, pg_catalog.pg_get_ruledef(r.oid) || ' ' || r.ev_enabled::text,"
    " n.nspname, c.relname"
    + FROM_TABLE % ("JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid",
                    "r.rulename <> '_RETURN'"),
    "SELECT 'policy', p.policyname, pg_catalog.concat_ws(' ', p.permissive, p.roles::text,"
    " p.cmd, p.qual, p.with_check), p.schemaname, p.tablename FROM pg_catalog.pg_policies p",
    "SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function'"
    " END, n.nspname || '.' || p.proname || '('"
    " || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')',"
    " CASE WHEN p.prokind = 'a' THEN (SELECT pg_catalog.concat_ws(' ', g.aggtransfn,"
    " g.aggfinalfn, g.aggtranstype::pg_catalog.regtype, g.agginitval) FROM"
    " pg_catalog.pg_aggregate g WHERE g.aggfnoid = p.oid)"
    " ELSE pg_catalog.pg_get_functiondef(p.oid) END || ' '"
    " || pg_catalog.pg_get_userbyid(p.proowner) || ' ' || coalesce("
    + ACL % ("p.proacl", "f", "p.proowner")
    + ", ''), NULL, NULL FROM pg_catalog.pg_proc p"
    " JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE " + OURS
    + " AND " + LOOSE % ("p.oid", "pg_proc"),
    "SELECT 'type', n.nspname || '.' || t.typname, pg_catalog.concat_ws(' ', t.typtype,"
    " pg_catalog.pg_get_userbyid(t.typowner), pg_catalog.format_type(t.typbasetype, t.typtypmod),"
    " t.typnotnull, t.typdefault, (SELECT pg_catalog.string_agg(e.enumlabel, ',' ORDER BY"
    " e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),"
    " (SELECT pg_catalog.string_agg(k.conname || ' ' || pg_catalog.pg_get_constraintdef(k.oid),"
    " ',' ORDER BY k.conname) FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid),"
    " (SELECT pg_catalog.string_agg(a.attname || ' '"
    " || pg_catalog.format_type(a.atttypid, a.atttypmod), ',' ORDER BY a.attname)"
    " FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0"
    " AND NOT a.attisdropped)), NULL, NULL FROM pg_catalog.pg_type t"
    " JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace"
    " LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid"
    " WHERE (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c') AND " + OURS
    + " AND " + LOOSE % ("t.oid", "pg_type"),
    "SELECT 'extension', e.extname, e.extversion || ' ' || n.nspname, NULL, NULL"
    " FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace",
    "SELECT 'schema', n.nspname, pg_catalog.pg_get_userbyid(n.nspowner) || ' ' || coalesce("
    + ACL % ("n.nspacl", "n", "n.nspowner")
    + ", ''), NULL, NULL FROM pg_catalog.pg_namespace n WHERE " + OURS,
    "SELECT 'event trigger', e.evtname, pg_catalog.concat_ws(' ', e.evtevent,"
    " e.evtfoid::pg_catalog.regprocedure, e.evtenabled, e.evttags::text), NULL, NULL"
    " FROM pg_catalog.pg_event_trigger e",
    "SELECT 'default grants', pg_catalog.concat_ws(' ', pg_catalog.pg_get_userbyid(d.defaclrole),"
    " n.nspname, d.defaclobjtype), (SELECT pg_catalog.string_agg(x::text, ' ' ORDER BY x::text)"
    " FROM pg_catalog.unnest(d.defaclacl) x), NULL, NULL FROM pg_catalog.pg_default_acl d"
    " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace",
    "SELECT 'owner of', 'the database', pg_catalog.pg_get_userbyid(b.datdba) || ' '"
    " || coalesce(" + ACL % ("b.datacl", "d", "b.datdba") + ", ''), NULL, NULL"
    " FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database()",
    "SELECT 'setting of', coalesce(pg_catalog.pg_get_userbyid(nullif(s.setrole, 0)),"
    " 'the database'), s.setconfig::text, NULL, NULL FROM pg_catalog.pg_db_role_setting s"
    " JOIN pg_catalog.pg_database b ON b.oid = s.setdatabase"
    " WHERE b.datname = pg_catalog.current_database()",
    "SELECT 'large objects', 'all', pg_catalog.count(*)::text, NULL, NULL"
    " FROM pg_catalog.pg_largeobject_metadata",
)  # fmt: skip
ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def quoted(name):
    """An identifier; psql takes nothing in it for its own."""
    return '"' + name.replace('"', '""') + '"'


def fields(line):
    """The values of a line that COPY wrote; None for NULL."""
    return [
        None
        if one == b"\\N"
        else re.sub(rb"\\(.)", lambda m: ESCAPES.get(m[1], m[1]), one).decode("utf-8", "replace")
        for one in line.split(b"\t")
    ]


def copied(select):
    return "COPY (%s) TO STDOUT;" % select


def client(url, password):
    """psql on that database. A database that isn't there isn't an error of the client's."""
    environment = {"PGCONNECT_TIMEOUT": "10", "PGAPPNAME": "otapgate"}
    if password:
        environment["PGPASSWORD"] = password
    arguments = ["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "--dbname=" + url]
    return Client(("psql", "psql"), arguments, environment, MARK)


def is_absent(url, name, password):
    """Whether the server answers and has no such database."""
    parts = urllib.parse.urlsplit(url)
    with client(parts._replace(path="/postgres").geturl(), password) as other:
        asked = copied("SELECT datname FROM pg_catalog.pg_database")
        try:
            return [name] not in [fields(line) for line in other.ask(asked)]
        except ClientError:
            return False


def postgresql(url, password, patterns, budget):
    """{"tables", "objects", "sequences"}, or {"absent"}. Raises ClientError."""
    name = parsed(url)[3]
    with client(url, password) as base:
        try:
            list(base.ask(BEGIN))
        except ClientError:
            if is_absent(url, name, password):
                return {"absent": True}
            raise
        return everything(base, patterns, budget)


def everything(base, patterns, budget):
    """All of the database, table by table."""
    said = {"tables": {}, "objects": {}, "sequences": {}}
    select, left_out = [], set()
    for schema, name, kind, owner, grants, options, view in map(
        fields, base.ask(copied(RELATIONS))
    ):
        key = schema + "." + name
        if unwanted(patterns, name, key):
            left_out.add(key)
            continue
        full = "%s.%s" % (quoted(schema), quoted(name))
        if kind == "S":
            said["sequences"][key] = {"owner": owner, "grants": grants, "from": full}
            continue
        if kind == "v":
            said["objects"]["view " + key] = "%s %s %s %s" % (owner, grants, options, view)
            continue
        table = {"columns": {}, "owner": owner, "grants": grants}
        table["sql"] = "%s %s %s" % (KINDS[kind], options, view or "")
        said["tables"][key] = table
        if kind in "rm":
            select.append((key, full))
    for schema, name, column, *parts in map(fields, base.ask(copied(COLUMNS))):
        table = said["tables"].get(schema + "." + name)
        if table is not None:
            table["columns"][column] = dict(zip(PARTS, parts))
    said["objects"].update(objects(base, left_out))
    for one in said["sequences"].values():
        one.update(sequence(base, one.pop("from")))
    for key, full in select:
        table = said["tables"][key]
        columns = ", ".join(quoted(one) for one in sorted(table["columns"]))
        table.update(base.rows(copied("SELECT %s FROM ONLY %s" % (columns, full)), budget))
    return said


def objects(base, left_out):
    """What it is called → its definition, for all that is no table. `left_out`: tables."""
    found = {}
    for query in OBJECTS:
        for kind, name, definition, schema, table in map(fields, base.ask(copied(query))):
            owner = "%s.%s" % (schema, table)
            if table is not None and owner in left_out:
                continue
            of_table = table is not None and kind != "index"
            found[kind + " " + name + (" of table " + owner if of_table else "")] = definition
    return found


def sequence(base, full):
    """What it gives next, and how it counts; its cache is a session's own affair."""
    asked = (
        "SELECT s.last_value + CASE WHEN s.is_called THEN q.seqincrement ELSE 0 END, q.seqstart,"
        " q.seqincrement, q.seqmin, q.seqmax, q.seqcycle,"
        " pg_catalog.format_type(q.seqtypid, NULL) FROM %s s, pg_catalog.pg_sequence q"
        " WHERE q.seqrelid = s.tableoid" % full
    )
    found = [fields(line) for line in base.ask(copied(asked))]
    if len(found) != 1:
        raise ClientError("sequence %s can't be read" % full)
    return {"next": found[0][0], "definition": " ".join(map(str, found[0][1:]))}
