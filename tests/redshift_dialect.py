"""What Redshift lacks, though sqlglot parses it and PostgreSQL or DuckDB run it; each with the page that says so.

Pages are below https://docs.aws.amazon.com/redshift/latest/dg/.
"""

from __future__ import annotations

from itertools import pairwise

import sqlglot
from sqlglot import exp
from sqlglot.dialects.redshift import Redshift

_FEATURES = "c_unsupported-postgresql-features.html"
_FUNCTIONS = "c_unsupported-postgresql-functions.html"
DENIED: dict[type[exp.Expr], str] = {
    exp.Filter: "r_Aggregate_Functions.html",  # no FILTER (WHERE …) in any of their syntaxes
    exp.Array: _FEATURES,  # array constructors
    exp.Bracket: _FEATURES,  # subscripts
    exp.Struct: "c_Supported_data_types.html",
    exp.Values: _FEATURES,  # VALUES lists as constant tables
    exp.Lateral: "r_FROM_clause30.html",
    exp.TableSample: "r_FROM_clause30.html",
    exp.JSONExtract: _FUNCTIONS,  # -> and ->>; JSON_EXTRACT_PATH_TEXT is Redshift's
    exp.JSONExtractScalar: _FUNCTIONS,
    exp.NullSafeEQ: _FUNCTIONS,  # IS NOT DISTINCT FROM
    exp.NullSafeNEQ: _FUNCTIONS,
    exp.GenerateSeries: _FUNCTIONS,
    exp.Fetch: "r_SELECT_synopsis.html",
    exp.Pivot: "r_FROM_clause-pivot-unpivot-examples.html",  # there, but not in DuckDB's form
}
FUNCTIONS: dict[str, str] = {
    "AVG": "r_AVG.html",
    "CAST": "r_CAST_function.html",
    "CEIL": "r_CEIL_FLOOR.html",
    "CHR": "r_CHR.html",
    "COALESCE": "r_NVL_function.html",
    "CONVERT_TIMEZONE": "CONVERT_TIMEZONE.html",
    "COUNT": "r_COUNT.html",
    "DATE_TRUNC": "r_DATE_TRUNC.html",
    "EXP": "r_EXP.html",
    "EXTRACT": "r_EXTRACT_function.html",
    "FLOOR": "r_CEIL_FLOOR.html",
    "GREATEST": "r_GREATEST_LEAST.html",
    "LENGTH": "r_LENGTH.html",
    "LN": "r_LN.html",
    "LOWER": "r_LOWER.html",
    "LPAD": "r_LPAD.html",
    "MAX": "r_MAX.html",
    "MD5": "r_MD5.html",
    "MIN": "r_MIN.html",
    "NULLIF": "r_NULLIF_function.html",
    "PERCENTILE_CONT": "r_PERCENTILE_CONT.html",
    "POWER": "r_POWER.html",
    "REGEXP_SUBSTR": "REGEXP_SUBSTR.html",
    "ROW_NUMBER": "r_WF_ROW_NUMBER.html",
    "STRPOS": "r_STRPOS.html",
    "SUBSTRING": "r_SUBSTRING.html",
    "SUM": "r_SUM.html",
}
"""Functions that queries call; one more is added with its page, once it was looked up."""
RESERVED = frozenset(
    {
        "aes128", "aes256", "all", "allowoverwrite", "analyse", "analyze", "and", "any", "array", "as", "asc",
        "authorization", "az64", "backup", "between", "binary", "both", "bytedict", "case", "cast", "check",
        "collate", "column", "constraint", "create", "credentials", "cross", "current_date", "current_time",
        "current_timestamp", "current_user", "default", "deferrable", "deflate", "defrag", "delta", "delta32k",
        "desc", "disable", "distinct", "do", "else", "enable", "encode", "encrypt", "encryption", "end", "except",
        "explicit", "false", "for", "foreign", "freeze", "from", "full", "globaldict256", "globaldict64k", "grant",
        "group", "gzip", "having", "identity", "ignore", "ilike", "in", "initially", "inner", "intersect", "interval",
        "into", "is", "isnull", "join", "leading", "left", "like", "limit", "localtime", "localtimestamp", "lun",
        "luns", "lzo", "lzop", "minus", "mostly16", "mostly32", "mostly8", "natural", "new", "not", "notnull", "null",
        "nulls", "off", "offline", "offset", "oid", "old", "on", "only", "open", "or", "order", "outer", "overlaps",
        "parallel", "partition", "percent", "permissions", "placing", "primary", "raw", "readratio", "recover",
        "references", "respect", "rejectlog", "resort", "restore", "right", "select", "session_user", "similar",
        "snapshot", "some", "sysdate", "system", "table", "tag", "tdes", "text255", "text32k", "then", "timestamp",
        "to", "top", "trailing", "true", "truncatecolumns", "union", "unique", "unnest", "user", "using", "verbose",
        "wallet", "when", "where", "with", "without",
    }
)  # fmt: skip
"""docs: r_pg_keywords.html"""


def faults(sql: str) -> list[str]:
    """What of a text Redshift would refuse, in words; empty where nothing is known."""
    tree = sqlglot.parse_one(sql, read="redshift", error_level=sqlglot.ErrorLevel.RAISE)
    return [*_denied(tree), *_tokens(sql), *_orderings(tree), *_names(tree)]


def _denied(tree: exp.Expr) -> list[str]:
    found = [f"{kind.__name__}: {page}" for kind, page in DENIED.items() if tree.find(kind)]
    found += [f"DISTINCT ON: {_FEATURES}" for one in tree.find_all(exp.Distinct) if one.args.get("on")]
    found += [f"* EXCLUDE/REPLACE: {_FEATURES}" for one in tree.find_all(exp.Star) if any(one.args.values())]
    for one in (*tree.find_all(exp.Except), *tree.find_all(exp.Intersect)):
        found += [] if one.args.get("distinct") else ["EXCEPT ALL, INTERSECT ALL: r_UNION.html"]
    for window in tree.find_all(exp.Window):
        text = window.sql("redshift")
        found += [f"NULLS FIRST or LAST in a window: {_FEATURES}"] if "NULLS" in text else []
    return found


def _tokens(sql: str) -> list[str]:
    tokens = Redshift().tokenize(sql)
    found = [] if tokens[0].text.upper() in ("SELECT", "WITH") else ["FROM before SELECT"]
    for token, after in pairwise(tokens):
        name = token.text.upper()
        if after.text == "(" and after.start == token.end + 1 and name.isidentifier() and name not in FUNCTIONS:
            found.append(f"function {name}, whose page is not among FUNCTIONS")
        if name == "GROUP BY" and after.text.upper() == "ALL":
            found.append("GROUP BY ALL: r_GROUP_BY_clause.html")
        if token.text == "/" and after.text == "/":
            found.append("//: r_OPERATOR_SYMBOLS.html")
    types = {"DECIMAL", "NUMERIC", "VARCHAR", "CHAR"}
    return [one for one in found if one.split(" ")[1].rstrip(",") not in types]


def _orderings(tree: exp.Expr) -> list[str]:
    """Redshift takes one ordering for all WITHIN GROUP of a SELECT."""
    found = []
    for select in tree.find_all(exp.Select):
        groups = [one for one in select.find_all(exp.WithinGroup) if one.find_ancestor(exp.Select) is select]
        if len({one.expression.sql() for one in groups}) > 1:
            found.append("two orderings of WITHIN GROUP: r_PERCENTILE_CONT.html")
    return found


def _names(tree: exp.Expr) -> list[str]:
    bare = {one.name.lower() for one in tree.find_all(exp.Identifier) if not one.quoted}
    return [f"reserved word {name}: r_pg_keywords.html" for name in sorted(bare & RESERVED)]
