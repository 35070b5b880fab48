"""Commits stay as cheap as the first: what each has to read and write does not grow with history."""

from __future__ import annotations

from commit_latency import SETTINGS, commit, make_table, one_call, shape

from tollmeter.etl import lake
from tollmeter.etl.lake import existing_tables
from tollmeter.model.home import Home

COMMITS = 30
KEPT = 6


def test_a_tended_table_keeps_few_snapshots_manifests_and_files(home: Home) -> None:
    commit(home, COMMITS, SETTINGS.replace(snapshot_max_count=KEPT))
    found = shape(home)
    assert found["data_files"] == COMMITS
    assert found["snapshots"] <= KEPT * 3 // 2
    # twenty old versions, the current one, and a manifest list for each snapshot beside the manifests
    assert found["metadata_files"] <= 21 + 2 * found["snapshots"] + found["manifests"]
    assert existing_tables(home)["llm_calls"].scan().count() == COMMITS


def test_manifests_are_merged_once_there_are_many(home: Home) -> None:
    merging = {**lake._PROPERTIES, "commit.manifest.min-count-to-merge": "4"}
    table = make_table(home, merging)
    counts = []
    for number in range(9):
        table.append(one_call(number))
        snapshot = table.current_snapshot()
        assert snapshot
        counts.append(len(snapshot.manifests(table.io)))
    assert counts == [1, 2, 3, 1, 2, 3, 1, 2, 3]
    assert table.scan().count() == 9
