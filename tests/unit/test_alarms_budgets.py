"""Budgets are read to the cent, and a slip is answered with its line and what is allowed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tollmeter.alarms.budgets import Budget, parse_budgets, read_budgets
from tollmeter.model.errors import DefinitionError, SettingError

TEXT = """\
budgets:
  - name: everything
    usd: 5000
    per: month
  - name: assistant-day
    usd: 120.10
    per: day
    where: {team: assistant, model: gpt-4.1}
    warn_at: [80, 100]
"""


def test_a_file_of_two_budgets(tmp_path: Path) -> None:
    path = tmp_path / "budgets.yaml"
    path.write_text(TEXT)
    assert read_budgets(str(path)) == (
        Budget("everything", Decimal(5000), "month"),
        Budget("assistant-day", Decimal("120.10"), "day", (("team", "assistant"), ("model", "gpt-4.1")), (80, 100)),
    )


def test_no_file_is_no_budget_and_a_missing_one_is_a_slip(tmp_path: Path) -> None:
    assert read_budgets("") == ()
    with pytest.raises(SettingError, match=r"budgets='.*gone.yaml' is not allowed: expected a file that can be read"):
        read_budgets(str(tmp_path / "gone.yaml"))
    (tmp_path / "latin.yaml").write_bytes(b"budgets: [\xff]")
    with pytest.raises(DefinitionError, match="UTF-8"):
        read_budgets(str(tmp_path / "latin.yaml"))


@pytest.mark.parametrize(
    ("old", "new", "answer"),
    [
        ("usd: 5000", "usd: 0", r"b.yaml, line 3: usd: 0 is not allowed: expected more than 0"),
        ("usd: 5000", "usd: 1.001", r"line 3: usd: 1.001 .* at most 2 decimal places"),
        ("usd: 5000", "usd: -1", r"line 3: usd: -1 .* a number from 0"),
        ("per: month", "per: week", r"line 4: per: 'week' .* one of day, month"),
        ("assistant-day", "everything", r"line 5: name: 'everything' .* a name that no budget before it has"),
        ("team:", "user:", r"line 8: key 'user' .* team, tenant|expected feature, model, team, tenant"),
        ("[80, 100]", "[100, 80]", r"line 9: warn_at: \[100, 80\] .* whole percents from 1 to 1000, rising"),
        ("[80, 100]", "80", r"line 9: warn_at: 80 .* rising"),
        ("    per: month\n", "", r"leaving out per"),
        ("warn_at", "warn", r"key 'warn'"),
        ("budgets:", "budget:", r"leaving out budgets"),
    ],
)
def test_a_slip_is_answered_where_it_stands(old: str, new: str, answer: str) -> None:
    with pytest.raises(DefinitionError, match=answer):
        parse_budgets(TEXT.replace(old, new), "b.yaml")
