"""What the forwarder may do: the actions its sinks call, on the resources they name, and nothing else.

Which actions know resources: https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from tollmeter.exporters.deploy.hcl import Encoded
from tollmeter.exporters.deploy.options import Deployment
from tollmeter.exporters.deploy.stack import Resource, Stack
from tollmeter.model.metric_names import preset

Statement = dict[str, Any]
_ARN: Final = "arn:${AWS::Partition}"
_HERE: Final = "${AWS::Region}:${AWS::AccountId}"


def statements(deployment: Deployment) -> list[Statement]:
    """The statements of all sinks, each once."""
    found = [statement for sink in deployment.settings.sinks for statement in PERMISSIONS[sink](deployment)]
    return list({statement["Sid"]: statement for statement in found}.values())


def document(found: Iterable[Statement]) -> dict[str, Any]:
    """A policy document of some statements."""
    return {"Version": "2012-10-17", "Statement": list(found)}


def stack(deployment: Deployment) -> Stack:
    """One managed policy, to be attached to the role the forwarder runs with."""
    policy = document(statements(deployment))
    description = f"What the forwarder of {deployment.service} calls"
    resource = Resource(
        "ForwarderPolicy",
        "AWS::IAM::ManagedPolicy",
        {"Description": description, "PolicyDocument": policy},
        "aws_iam_policy",
        {"name_prefix": "tollmeter-forwarder-", "description": description, "policy": Encoded(policy)},
    )
    outputs = {"PolicyArn": ("ARN of the policy.", "${ForwarderPolicy.PolicyArn}")}
    title = f"Tollmeter: the policy of the forwarder of {deployment.service}, for the sinks {_told(deployment)}."
    return Stack(title, (), (resource,), outputs)


def _told(deployment: Deployment) -> str:
    return ", ".join(deployment.settings.sinks)


def allow(sid: str, actions: list[str], resources: list[str], **conditions: Any) -> Statement:
    """One statement; `conditions` are operators with their keys and values."""
    statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
    return statement | ({"Condition": conditions} if conditions else {})


def role(name: str, principal: str, found: list[Statement]) -> list[Resource]:
    """A role that one service of AWS takes on, for this account alone, and its policy, which may be empty: then none.

    The policy is named after the role, `<name>Policy`.
    """
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": f"{principal}.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"}},
    }
    made = Resource(
        name,
        "AWS::IAM::Role",
        {"AssumeRolePolicyDocument": document([trust])},
        "aws_iam_role",
        {"name_prefix": "tollmeter-", "assume_role_policy": Encoded(document([trust]))},
    )
    policy = Resource(
        f"{name}Policy",
        "AWS::IAM::RolePolicy",
        {"PolicyName": "tollmeter", "RoleName": f"${{{name}}}", "PolicyDocument": document(found)},
        "aws_iam_role_policy",
        {"name": "tollmeter", "role": f"${{{name}}}", "policy": Encoded(document(found))},
    )
    return [made, policy] if found else [made]


def _nothing(deployment: Deployment) -> list[Statement]:
    del deployment
    return []


def _s3(deployment: Deployment) -> list[Statement]:
    bucket = f"{_ARN}:s3:::{deployment.bucket}"
    found = [
        allow(
            "StoreRawObjects",
            ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"],  # a look (HEAD) is GetObject
            [f"{bucket}/{deployment.prefix}*"],
        ),
        # Without it S3 answers a look for what is not there with 403, not 404; no condition on the prefix, for a look
        # has none.
        allow("TellMissingFromForbidden", ["s3:ListBucket", "s3:ListBucketMultipartUploads"], [bucket]),
    ]
    return [*found, *_kms(deployment)]


def _kms(deployment: Deployment) -> list[Statement]:
    # An upload in parts decrypts what it has when it is completed.
    return with_key(deployment.settings.kms_key, "EncryptRawObjects", ["kms:GenerateDataKey", "kms:Decrypt"])


def with_key(key: str, sid: str, actions: list[str]) -> list[Statement]:
    """What may be done with a KMS key, by its ARN, id or alias; nothing where there is none."""
    if not key:
        return []
    keys = f"{_ARN}:kms:{_HERE}:key"
    alias = key.partition("alias/")[2]
    if alias:  # a policy knows keys, and an alias as a condition alone
        condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": [f"alias/{alias}"]}}
        return [allow(sid, actions, [f"{keys}/*"], **condition)]
    return [allow(sid, actions, [key if key.startswith("arn:") else f"{keys}/{key}"])]


def _firehose(deployment: Deployment) -> list[Statement]:
    stream = f"{_ARN}:firehose:{_HERE}:deliverystream/{deployment.settings.firehose_stream}"
    return [allow("PutRecords", ["firehose:PutRecordBatch", "firehose:DescribeDeliveryStream"], [stream])]


def _logs(deployment: Deployment) -> list[Statement]:
    groups = deployment.settings.cloudwatch_log_group.replace("{service}", "*")
    arn = f"{_ARN}:logs:{_HERE}:log-group:{groups}"
    actions = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutRetentionPolicy", "logs:PutLogEvents"]
    return [allow("PutLogs", actions, [arn, f"{arn}:log-stream:*"])]


def _metrics(deployment: Deployment) -> list[Statement]:
    chosen = preset(deployment.settings.metric_preset)
    namespaces = [deployment.settings.cloudwatch_namespace, *([chosen.namespace] if chosen else [])]
    # It knows no resources: the namespace is what can be named.
    condition = {"StringEquals": {"cloudwatch:namespace": namespaces}}
    return [allow("PutMetrics", ["cloudwatch:PutMetricData"], ["*"], **condition)]


def _xray(deployment: Deployment) -> list[Statement]:
    del deployment
    # Neither knows resources.
    return [allow("PutTraces", ["xray:PutTraceSegments", "xray:PutSpans"], ["*"])]


PERMISSIONS: Final[dict[str, Callable[[Deployment], list[Statement]]]] = {
    "raw": _nothing,
    "s3": _s3,
    "firehose": _firehose,
    "stdout": _nothing,
    "cloudwatch_logs": _logs,
    "cloudwatch_metrics": _metrics,
    "cloudwatch_emf": _logs,
    "xray": _xray,
    "datadog_metrics": _nothing,
    "datadog_traces": _nothing,
    "otlp": _nothing,
}
"""What each sink may do; none where it calls nothing of AWS."""
