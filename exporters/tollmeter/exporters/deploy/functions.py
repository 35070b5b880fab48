"""A Lambda function: its events are lines of its log, which a subscription takes to the raw folder through Firehose.

Firehose unpacks what CloudWatch Logs sends and keeps the messages alone, so that an object holds the events as the
function wrote them: https://docs.aws.amazon.com/firehose/latest/dev/writing-with-cloudwatch-logs-decompression.html
"""

from __future__ import annotations

import json
from typing import Any, Final

from tollmeter.exporters.deploy.hcl import Block
from tollmeter.exporters.deploy.options import Deployment
from tollmeter.exporters.deploy.policy import allow, role
from tollmeter.exporters.deploy.stack import Parameter, Resource, Stack
from tollmeter.model.names import KINDS

_ARN: Final = "arn:${AWS::Partition}"
_LOG_GROUP: Final = "/aws/lambda/${FunctionName}"
_BUFFER_S: Final = 60
_BUFFER_MB: Final = 64
_TIME: Final = "dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/"
_SUFFIX: Final = ".jsonl.gz"
_PATTERN: Final = "{ " + " || ".join(f'($.kind = "{kind}")' for kind in KINDS) + " }"
_PARAMETERS: Final = (Parameter("FunctionName", "Name of the function, whose log group exists."),)


def stack(deployment: Deployment) -> Stack:
    """Delivery stream, subscription and their roles; the function's environment is an output.

    Raises:
        SettingError: no bucket is given.
    """
    title = f"Tollmeter: from the log of {deployment.service} on Lambda to s3://{deployment.bucket}/{deployment.prefix}"
    env = {"TOLLMETER_ROUTE": "stdout", "TOLLMETER_SERVICE": deployment.service} | deployment.service_env()
    resources = (
        *role("StreamRole", "firehose", _to_bucket(deployment)),
        _stream(deployment),
        *role("SubscriptionRole", "logs", _TO_STREAM),
        _subscription(),
    )
    text = "Environment of the function, as JSON."
    return Stack(title, _PARAMETERS, resources, {"FunctionEnvironment": (text, json.dumps(env, sort_keys=True))})


_TO_STREAM: Final = [allow("PutRecords", ["firehose:PutRecord", "firehose:PutRecordBatch"], ["${Stream.Arn}"])]


def _to_bucket(deployment: Deployment) -> list[dict[str, Any]]:
    bucket = f"{_ARN}:s3:::{deployment.bucket}"
    looks = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
    objects = [f"{bucket}/{deployment.prefix}*", f"{bucket}/{_errors(deployment)}*"]
    return [
        allow("StoreObjects", ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"], objects),
        allow("LookIntoBucket", looks, [bucket]),
    ]


def _errors(deployment: Deployment) -> str:
    # Beside the raw objects, not among them: it holds what is no event.
    return f"{deployment.prefix.rstrip('/') or 'raw'}-errors/"


def _stream(deployment: Deployment) -> Resource:
    bucket = f"{_ARN}:s3:::{deployment.bucket}"
    prefix, errors = f"{deployment.prefix}{_TIME}", f"{_errors(deployment)}!{{firehose:error-output-type}}/{_TIME}"
    return Resource(
        "Stream",
        "AWS::KinesisFirehose::DeliveryStream",
        {
            "DeliveryStreamType": "DirectPut",
            "ExtendedS3DestinationConfiguration": {
                "BucketARN": bucket,
                "RoleARN": "${StreamRole.Arn}",
                "Prefix": prefix,
                "ErrorOutputPrefix": errors,
                "FileExtension": _SUFFIX,
                "CompressionFormat": "GZIP",
                "BufferingHints": {"IntervalInSeconds": _BUFFER_S, "SizeInMBs": _BUFFER_MB},
                "ProcessingConfiguration": {
                    "Enabled": True,
                    "Processors": [
                        _processor("Decompression", "CompressionFormat", "GZIP"),
                        _processor("CloudWatchLogProcessing", "DataMessageExtraction", "true"),
                    ],
                },
            },
        },
        "aws_kinesis_firehose_delivery_stream",
        {
            "name": "tollmeter-${FunctionName}",
            "destination": "extended_s3",
            "extended_s3_configuration": Block("extended_s3_configuration", (), _destination(bucket, prefix, errors)),
        },
        after=("StreamRolePolicy",),
    )


def _destination(bucket: str, prefix: str, errors: str) -> dict[str, Any]:
    processors = {
        "decompression": _processor_block("Decompression", "CompressionFormat", "GZIP"),
        "extraction": _processor_block("CloudWatchLogProcessing", "DataMessageExtraction", "true"),
    }
    return {
        "bucket_arn": bucket,
        "role_arn": "${StreamRole.Arn}",
        "prefix": prefix,
        "error_output_prefix": errors,
        "file_extension": _SUFFIX,
        "compression_format": "GZIP",
        "buffering_interval": _BUFFER_S,
        "buffering_size": _BUFFER_MB,
        "processing_configuration": Block("processing_configuration", (), {"enabled": True} | processors),
    }


def _processor(kind: str, name: str, value: str) -> dict[str, Any]:
    return {"Type": kind, "Parameters": [{"ParameterName": name, "ParameterValue": value}]}


def _processor_block(kind: str, name: str, value: str) -> Block:
    parameters = Block("parameters", (), {"parameter_name": name, "parameter_value": value})
    return Block("processors", (), {"type": kind, "parameters": parameters})


def _subscription() -> Resource:
    return Resource(
        "Subscription",
        "AWS::Logs::SubscriptionFilter",
        {
            "LogGroupName": _LOG_GROUP,
            "FilterPattern": _PATTERN,
            "DestinationArn": "${Stream.Arn}",
            "RoleArn": "${SubscriptionRole.Arn}",
        },
        "aws_cloudwatch_log_subscription_filter",
        {
            "name": "tollmeter",
            "log_group_name": _LOG_GROUP,
            "filter_pattern": _PATTERN,
            "destination_arn": "${Stream.Arn}",
            "role_arn": "${SubscriptionRole.Arn}",
        },
        after=("SubscriptionRolePolicy",),  # CloudWatch sends a first record when it is made
    )
