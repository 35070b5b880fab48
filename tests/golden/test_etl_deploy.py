"""The template of the lake: clean for cfn-lint, and the ETL's policy has the actions that its code calls, no others."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore import xform_name
from botocore.session import Session

import tollmeter.etl
import tollmeter.sql

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "etl/deploy/template.yaml"
ETL = Path(tollmeter.etl.__file__).parent
SQL = Path(tollmeter.sql.__file__).parent

CALLED = {
    "s3": (ETL / "opening.py", ETL / "sources/s3.py", SQL / "places/s3.py", SQL / "s3_io.py"),
    "raw": (ETL / "raw_places/s3.py",),
    "sqs": (ETL / "sources/sqs.py",),
}
# Which action each call needs: https://docs.aws.amazon.com/service-authorization/latest/reference/
ACTIONS = {
    "download_fileobj": {"s3:GetObject"},
    "get_object": {"s3:GetObject"},
    "head_object": {"s3:GetObject", "s3:ListBucket"},  # without the second what is missing is 403
    "list_objects_v2": {"s3:ListBucket"},
    "list_object_versions": {"s3:ListBucketVersions"},
    "upload_fileobj": {"s3:PutObject"},
    "put_object": {"s3:PutObject"},
    "delete_object": {"s3:DeleteObject"},
    "receive_message": {"sqs:ReceiveMessage"},
    "delete_message_batch": {"sqs:DeleteMessage"},
    "change_message_visibility": {"sqs:ChangeMessageVisibility"},
}
# What pyarrow calls (uploads in parts), SSE-KMS makes S3 call, and pyiceberg's GlueCatalog calls for us.
INDIRECT = {
    "s3:AbortMultipartUpload",
    "kms:GenerateDataKey", "kms:Decrypt",
    "glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:CreateTable", "glue:UpdateTable",
}  # fmt: skip


class Loader(yaml.SafeLoader):  # type: ignore[misc] # yaml has no types
    """YAML with CloudFormation's short forms, as what they are given."""


def _given(loader: Any, _: str, node: Any) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    return loader.construct_sequence(node, deep=True)


Loader.add_multi_constructor("!", _given)


def template() -> Any:
    return yaml.load(TEMPLATE.read_text(), Loader)


def calls(service: str) -> set[str]:
    """The operations of a service that its modules call, by name or through a paginator."""
    model: Any = Session().get_service_model("s3" if service == "raw" else service)
    operations = {xform_name(name) for name in model.operation_names}
    found = set[str]()
    for path in CALLED[service]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                named = node.func.attr
                if named == "get_paginator" and isinstance(node.args[0], ast.Constant):
                    named = str(node.args[0].value)
                found.add(named)
    return found & (operations | {"download_fileobj", "upload_fileobj"})


@pytest.mark.slow
def test_cfn_lint_finds_nothing() -> None:
    command = [str(Path(sys.executable).parent / "cfn-lint"), "--regions", "eu-central-1", "--", str(TEMPLATE)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def policy(name: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = template()["Resources"][name]["Properties"]["PolicyDocument"]["Statement"]
    assert all(statement["Resource"] != "*" for statement in statements)
    return statements


def allowed(statements: list[dict[str, Any]]) -> set[str]:
    return {action for statement in statements for action in statement["Action"]}


def test_the_etl_may_do_what_its_code_calls_and_nothing_else() -> None:
    called = calls("s3") | calls("sqs")
    assert called | calls("raw") == set(ACTIONS)
    assert allowed(policy("EtlPolicy")) == INDIRECT.union(*(ACTIONS[call] for call in called))


def test_raw_objects_are_changed_by_a_policy_of_its_own() -> None:
    statements = policy("RawPolicy")
    known = {"s3:GetObject", "s3:ListBucket"}
    assert allowed(statements) | known == set().union(*(ACTIONS[call] for call in calls("raw")))
    raw = [one for one in policy("EtlPolicy") if one["Resource"] == "${Bucket.Arn}/raw/*"]
    assert allowed(raw) == {"s3:GetObject"}


def test_no_other_module_of_the_etl_makes_clients() -> None:
    makers = {path for root in (ETL, SQL) for path in root.rglob("*.py") if " client(" in path.read_text()}
    known = {path for paths in CALLED.values() for path in paths}
    assert {path.name for path in makers - known} <= {"aws.py", "glue.py", "redshift_data_engine.py"}


def test_accounts_write_only_below_their_own_prefix_and_over_tls() -> None:
    statements = template()["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    tls, (condition, accounts, _), _ = statements
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert condition == "HasOrganization"
    assert accounts["Resource"] == "${Bucket.Arn}/raw/account=${!aws:PrincipalAccount}/*"
    assert accounts["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": "OrganizationId"}}
