"""A query without what its parameters make false: the same rows from a shorter text."""

from __future__ import annotations

import pytest

from tollmeter.sql.dialect import to_duckdb


@pytest.mark.parametrize(
    ("sql", "known", "expected"),
    [
        ("SELECT CASE :by WHEN 'a' THEN x WHEN 'b' THEN y ELSE '' END FROM t", {"by": "b"}, "SELECT y FROM t"),
        ("SELECT CASE :by WHEN 'a' THEN x ELSE '' END FROM t", {"by": "z"}, "SELECT '' FROM t"),
        ("SELECT CASE WHEN :by = 'a' THEN x END FROM t", {"by": "z"}, "SELECT NULL FROM t"),
        (
            "SELECT CASE WHEN c THEN x WHEN CAST(:by AS VARCHAR) IN ('a', 'b') THEN y WHEN d THEN z END FROM t",
            {"by": "c"},
            "SELECT CASE WHEN c THEN x WHEN d THEN z END FROM t",
        ),
        ("SELECT x FROM t WHERE (CAST(:z AS VARCHAR) = '' OR x = :z) AND x", {"z": ""}, "SELECT x FROM t WHERE x"),
        ("SELECT x FROM t WHERE (:z = '' OR x = :z)", {"z": ""}, "SELECT x FROM t"),
        ("SELECT x FROM t WHERE NOT (:z <> '' AND x = 1)", {}, "SELECT x FROM t WHERE NOT ($z <> '' AND x = 1)"),
        (
            "SELECT a FROM t WHERE :s = 'x' AND a > 1 UNION ALL SELECT b FROM u WHERE :s = 'y' AND b > 1",
            {"s": "y"},
            'SELECT b AS "a" FROM u WHERE b > 1',
        ),
        (
            """SELECT a, CAST(NULL AS DATE) AS d FROM t WHERE :s = 'x'
            UNION ALL SELECT b, NULL FROM u WHERE :s = 'y' UNION ALL SELECT c, e FROM v""",
            {"s": "y"},
            'SELECT b AS "a", CAST(NULL AS DATE) AS "d" FROM u UNION ALL SELECT c, e FROM v',
        ),
        (
            "SELECT a FROM t WHERE :s = 'x' UNION ALL SELECT b FROM u WHERE :s = 'y'",
            {"s": "z"},
            "SELECT a FROM t WHERE FALSE",
        ),
        (
            "SELECT x FROM t ORDER BY CASE WHEN :by = 'a' THEN x END, y",
            {"by": "b"},
            "SELECT x FROM t ORDER BY CASE WHEN FALSE THEN x END, y",
        ),
        ("SELECT ':by', :by FROM t", {"by": "it's"}, "SELECT ':by', 'it''s' FROM t"),
    ],
)  # fmt: skip
def test_what_cannot_hold_is_left_out(sql: str, known: dict[str, str], expected: str) -> None:
    assert to_duckdb(sql, tuple(known.items())) == expected
