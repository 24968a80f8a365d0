# Runs on hosts by whatever Python from 3.8 they have: old forms on purpose.
# mypy: ignore-errors
"""Schema and rows of a MariaDB or MySQL database, by its client, in one snapshot.

Every value is asked for in a form that tells NULL, bytes and line ends apart: `QUOTE`, a
hexadecimal number, or (for columns that hold more than a packet could) length and SHA-256.
"""

from .clients import Client, ClientError, parsed, unwanted

MARK = (b"=end\n", b"\nSELECT '=end';\n")  # rows begin with a quote, a digit or a letter
BEGIN = """
SET NAMES utf8mb4; SET SESSION sql_mode = 'ANSI_QUOTES'; SET SESSION time_zone = '+00:00';
SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;
START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY;
"""
LONG = ("mediumtext", "longtext", "mediumblob", "longblob", "json")
HEXED = ("bit", "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring",
         "multipolygon", "geometrycollection", "geomcollection", "vector")  # fmt: skip
COLUMNS = ("TABLE_NAME", "COLUMN_NAME", "COLUMN_TYPE", "IS_NULLABLE", "COLUMN_DEFAULT", "EXTRA",
           "COLLATION_NAME", "GENERATION_EXPRESSION", "DATA_TYPE")  # fmt: skip
PARTS = ("type", "nullable", "default", "extra", "collation", "generated")
# kind, name, table, definition
OBJECTS = (
    "SELECT 'index', INDEX_NAME, TABLE_NAME, GROUP_CONCAT(CONCAT_WS(' ', NON_UNIQUE, INDEX_TYPE,"
    ' COLUMN_NAME, SUB_PART, "COLLATION") ORDER BY SEQ_IN_INDEX) FROM'
    " information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE()"
    " GROUP BY TABLE_NAME, INDEX_NAME",
    "SELECT 'constraint', t.CONSTRAINT_NAME, t.TABLE_NAME, CONCAT_WS(' ', t.CONSTRAINT_TYPE,"
    " (SELECT GROUP_CONCAT(CONCAT_WS(' ', k.COLUMN_NAME, k.REFERENCED_TABLE_SCHEMA,"
    " k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME) ORDER BY k.ORDINAL_POSITION)"
    " FROM information_schema.KEY_COLUMN_USAGE k WHERE k.CONSTRAINT_SCHEMA = t.CONSTRAINT_SCHEMA"
    " AND k.CONSTRAINT_NAME = t.CONSTRAINT_NAME AND k.TABLE_NAME = t.TABLE_NAME),"
    " (SELECT CONCAT_WS(' ', r.UPDATE_RULE, r.DELETE_RULE) FROM"
    " information_schema.REFERENTIAL_CONSTRAINTS r WHERE"
    " r.CONSTRAINT_SCHEMA = t.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = t.CONSTRAINT_NAME"
    " AND r.TABLE_NAME = t.TABLE_NAME)) FROM information_schema.TABLE_CONSTRAINTS t"
    " WHERE t.TABLE_SCHEMA = DATABASE()",
    "SELECT 'view', TABLE_NAME, NULL, CONCAT_WS(' ', VIEW_DEFINITION, CHECK_OPTION, DEFINER,"
    " SECURITY_TYPE) FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE()",
    "SELECT 'trigger', TRIGGER_NAME, EVENT_OBJECT_TABLE, CONCAT_WS(' ', ACTION_TIMING,"
    " EVENT_MANIPULATION, ACTION_ORDER, ACTION_STATEMENT, DEFINER, SQL_MODE)"
    " FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()",
    "SELECT LOWER(ROUTINE_TYPE), ROUTINE_NAME, NULL, CONCAT_WS(' ', DTD_IDENTIFIER,"
    " ROUTINE_DEFINITION, IS_DETERMINISTIC, SQL_DATA_ACCESS, SECURITY_TYPE, DEFINER, SQL_MODE,"
    " (SELECT GROUP_CONCAT(CONCAT_WS(' ', p.PARAMETER_MODE, p.PARAMETER_NAME, p.DTD_IDENTIFIER)"
    " ORDER BY p.ORDINAL_POSITION) FROM information_schema.PARAMETERS p WHERE"
    " p.SPECIFIC_SCHEMA = r.ROUTINE_SCHEMA AND p.SPECIFIC_NAME = r.SPECIFIC_NAME AND"
    " p.ROUTINE_TYPE = r.ROUTINE_TYPE)) FROM information_schema.ROUTINES r"
    " WHERE ROUTINE_SCHEMA = DATABASE()",
    "SELECT 'event', EVENT_NAME, NULL, CONCAT_WS(' ', EVENT_DEFINITION, EVENT_TYPE, EXECUTE_AT,"
    " INTERVAL_VALUE, INTERVAL_FIELD, STARTS, ENDS, STATUS, ON_COMPLETION, DEFINER)"
    " FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE()",
    "SELECT 'grant', CONCAT_WS(' ', PRIVILEGE_TYPE, 'to', GRANTEE), NULL, IS_GRANTABLE"
    " FROM information_schema.SCHEMA_PRIVILEGES WHERE TABLE_SCHEMA = DATABASE()",
    "SELECT 'grant', CONCAT_WS(' ', PRIVILEGE_TYPE, 'to', GRANTEE), TABLE_NAME, IS_GRANTABLE"
    " FROM information_schema.TABLE_PRIVILEGES WHERE TABLE_SCHEMA = DATABASE()",
    "SELECT 'grant', CONCAT_WS(' ', PRIVILEGE_TYPE, COLUMN_NAME, 'to', GRANTEE), TABLE_NAME,"
    " IS_GRANTABLE FROM information_schema.COLUMN_PRIVILEGES WHERE TABLE_SCHEMA = DATABASE()",
    "SELECT 'partition', PARTITION_NAME, TABLE_NAME, CONCAT_WS(' ', PARTITION_METHOD,"
    " PARTITION_EXPRESSION, PARTITION_DESCRIPTION, SUBPARTITION_NAME) FROM"
    " information_schema.PARTITIONS WHERE TABLE_SCHEMA = DATABASE() AND PARTITION_NAME IS NOT NULL",
    "SELECT 'defaults of', 'the database', NULL, CONCAT_WS(' ', DEFAULT_CHARACTER_SET_NAME,"
    " DEFAULT_COLLATION_NAME) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = DATABASE()",
)
CHECKS = {
    True: "SELECT 'check', CONSTRAINT_NAME, TABLE_NAME, CHECK_CLAUSE FROM"
    " information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE()",
    False: "SELECT 'check', CONSTRAINT_NAME, NULL, CHECK_CLAUSE FROM"
    " information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE()",
}


def quoted(name):
    """An identifier; the client knows backquotes and takes nothing in them for its own."""
    return "`" + name.replace("`", "``") + "`"


def asked(base, query, width):
    """Rows of a query of `width` columns; each value as text, None for NULL."""
    names = ", ".join("HEX(CONVERT(c%d USING utf8mb4))" % number for number in range(width))
    columns = ", ".join("c%d" % number for number in range(width))
    wrapped = "WITH q (%s) AS (%s) SELECT %s FROM q;" % (columns, query, names)
    for line in base.ask(wrapped):
        yield [
            None if one == b"NULL" else bytes.fromhex(one.decode()).decode("utf-8", "replace")
            for one in line.split(b"\t")
        ]


def shown(name, kind):
    """How a column's value is asked for."""
    column = quoted(name)
    if kind in LONG:
        return "CONCAT(LENGTH(%s), ':', SHA2(%s, 256))" % (column, column)
    if kind in HEXED:
        return "HEX(%s)" % column
    if kind == "float":  # as text it would lose digits
        return "QUOTE(%s * 1e0)" % column
    return "QUOTE(%s)" % column


def client(url, password):
    """The client on that database, which reads no configuration of the host's."""
    user, host, port, name, options = parsed(url)
    arguments = ["--no-defaults", "--batch", "--quick", "--unbuffered", "--skip-column-names"]
    arguments += ["--binary-mode", "--default-character-set=utf8mb4", "--connect-timeout=10"]
    if user:
        arguments.append("--user=" + user)
    if "socket" in options:
        arguments.append("--socket=" + options["socket"])
    elif host:
        arguments += ["--host=" + host, "--protocol=tcp", "--port=%d" % (port or 3306)]
    if "ssl-ca" in options:
        arguments.append("--ssl-ca=" + options["ssl-ca"])
    program = ("mariadb", "mysql")
    environment = {"MYSQL_PWD": password} if password else {}
    return Client(program, [*arguments, "--database=" + name], environment, MARK)


def mariadb(url, password, patterns, budget):
    """{"tables", "objects", "sequences"}, or {"absent"}. Raises ClientError."""
    with client(url, password) as base:
        try:
            list(base.ask(BEGIN))
        except ClientError as error:
            if str(error).startswith("ERROR 1049 "):
                return {"absent": True}
            raise
        list(base.ask("SET SESSION group_concat_max_len = 1000000;"))
        return everything(base, patterns, budget)


def everything(base, patterns, budget):
    """All of the database, table by table."""
    said = {"tables": {}, "objects": {}, "sequences": {}}
    columns = {}
    names = {
        (row[0], row[1])
        for row in asked(
            base,
            "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE"
            " TABLE_SCHEMA = 'information_schema'",
            2,
        )
    }
    known = [one for one in COLUMNS if ("COLUMNS", one) in names]
    for row in asked(
        base,
        "SELECT %s FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()"
        % ", ".join(known),
        len(known),
    ):
        columns.setdefault(row[0], {})[row[1]] = dict(zip(known, row))
    query = (
        "SELECT TABLE_NAME, TABLE_TYPE, CONCAT_WS(' ', ENGINE, TABLE_COLLATION, CREATE_OPTIONS)"
        " FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
    )
    for name, kind, options in list(asked(base, query, 3)):
        if unwanted(patterns, name) or kind == "VIEW":
            continue
        if kind == "SEQUENCE":
            counts = (
                "SELECT next_not_cached_value, CONCAT_WS(' ', minimum_value, maximum_value,"
                " start_value, increment, cycle_option) FROM %s" % quoted(name)
            )
            for following, definition in asked(base, counts, 2):
                said["sequences"][name] = {"next": following, "definition": definition}
            continue
        kinds = columns.get(name, {})
        table = {"sql": options, "columns": {}}
        for column, one in kinds.items():
            values = (one.get(key) for key in COLUMNS[2:-1])
            table["columns"][column] = dict(zip(PARTS, values))
        shows = ", ".join(shown(one, kinds[one]["DATA_TYPE"].lower()) for one in sorted(kinds))
        table.update(base.rows("SELECT %s FROM %s;" % (shows, quoted(name)), budget))
        said["tables"][name] = table
        counter = [one for one in kinds if "auto_increment" in (kinds[one]["EXTRA"] or "").lower()]
        if counter:
            said["sequences"][name] = {"next": following_number(base, name), "definition": ""}
    checks = [CHECKS[("CHECK_CONSTRAINTS", "TABLE_NAME") in names]]
    if ("CHECK_CONSTRAINTS", "CHECK_CLAUSE") not in names:
        checks = []
    for query in [*OBJECTS, *checks]:
        for kind, name, table, definition in asked(base, query, 4):
            if unwanted(patterns, name) or (table and unwanted(patterns, table)):
                continue
            label = kind + " " + name + (" of table " + table if table else "")
            said["objects"][label] = definition
    return said


def following_number(base, table):
    """The number that the next row gets: from the table's definition, which isn't a
    statistic that may be a day old."""
    found = "1"
    for line in base.ask("SHOW CREATE TABLE %s;" % quoted(table)):
        options = line.rpartition(b"\\n)")[2]
        for word in options.split():
            if word.startswith(b"AUTO_INCREMENT="):
                found = word[len(b"AUTO_INCREMENT=") :].decode()
    return found
