"""A query made shorter by what is known of its parameters: conditions and branches that cannot hold are left out.

A query that answers many questions has a branch for each source and a condition for each filter. To plan all of them
takes DuckDB longer than to run the few that are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp


def folded(tree: exp.Expr, known: Mapping[str, str]) -> exp.Expr:
    """The tree with texts in place of parameters, and without what is false then; the tree given is changed."""
    from sqlglot import exp

    for place in list(tree.find_all(exp.Placeholder)):
        if place.name in known:
            place.replace(exp.Literal.string(known[place.name]))
    for node in reversed(list(tree.walk())):
        simple = _simple(node)
        # A constant to order or group by would be the number of a column, or nothing.
        by_constant = isinstance(node.parent, exp.Ordered | exp.Group) and isinstance(simple, exp.Null | exp.Literal)
        if simple is not node and not by_constant:
            node.replace(simple)
    for where in list(tree.find_all(exp.Where)):
        if _truth(where.this) is True:
            where.pop()
    return _without_empty(tree)


def _simple(node: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    if isinstance(node, exp.Cast | exp.Paren) and (_is_text(node.this) or _truth(node.this) is not None):
        inner: exp.Expr = node.this
        return inner if isinstance(node, exp.Paren) or node.is_type("varchar") else node
    if isinstance(node, exp.EQ | exp.NEQ) and _is_text(node.this) and _is_text(node.expression):
        same = node.this.name == node.expression.name
        return exp.Boolean(this=same is isinstance(node, exp.EQ))
    if isinstance(node, exp.In) and _is_text(node.this) and all(map(_is_text, node.expressions)):
        return exp.Boolean(this=node.this.name in [one.name for one in node.expressions])
    if isinstance(node, exp.And | exp.Or):
        return _connected(node)
    return _chosen(node) if isinstance(node, exp.Case) else node


def _connected(node: exp.And | exp.Or) -> exp.Expr:
    from sqlglot import exp

    decides = isinstance(node, exp.Or)
    for one, other in ((node.this, node.expression), (node.expression, node.this)):
        if (truth := _truth(one)) is not None:
            left: exp.Expr = one if truth is decides else other
            return left
    return node


def _chosen(node: exp.Case) -> exp.Expr:
    """The first branch of a CASE that holds, where those before it do not; else the CASE without what cannot hold."""
    from sqlglot import exp

    left: list[exp.Expr] = []
    for branch in node.args["ifs"]:
        truth = _truth(branch.this)
        if node.this:
            known = _is_text(node.this) and _is_text(branch.this)
            truth = node.this.name == branch.this.name if known else None
        if truth is True and not left:
            chosen: exp.Expr = branch.args["true"]
            return chosen
        if truth is not False:
            left.append(branch)
    if left:
        node.set("ifs", left)
        return node
    return node.args.get("default") or exp.Null()


def _without_empty(tree: exp.Expr) -> exp.Expr:
    """The tree without branches of unions whose condition is false, the first of them by the names of the others."""
    from sqlglot import exp

    for union in reversed(list(tree.find_all(exp.Union))):
        sides = (union.left, union.right)
        empty = [_is_empty(side) for side in sides]
        if True not in empty:
            continue
        kept = sides[empty.index(False)] if False in empty else sides[0]
        if empty[0] and False in empty:
            _name(kept, sides[0])
        if union is tree:
            return kept
        union.replace(kept)
    return tree


def _is_empty(side: exp.Expr) -> bool:
    where = side.args.get("where")
    return where is not None and _truth(where.this) is False


def _name(side: exp.Query, names: exp.Query) -> None:
    """Give the columns of one side of a union the names, and nulls the types, of the other side, which named them."""
    from sqlglot import exp

    first: exp.Expr = side
    while isinstance(first, exp.Union):
        first = first.left
    columns = []
    for column, named in zip(first.expressions, names.selects, strict=True):
        typed = named.unalias()
        value = column.unalias()
        if isinstance(typed, exp.Cast) and isinstance(value, exp.Null | exp.Literal):
            value = exp.Cast(this=value.copy(), to=typed.args["to"].copy())
        columns.append(exp.alias_(value.copy(), named.alias_or_name, quoted=True))
    first.set("expressions", columns)


def _is_text(node: exp.Expr) -> bool:
    return bool(node.is_string)


def _truth(node: exp.Expr) -> bool | None:
    from sqlglot import exp

    return bool(node.this) if isinstance(node, exp.Boolean) else None
