# Tollmeter: the policy of the forwarder of chat, for the sinks s3, firehose, cloudwatch_logs, cloudwatch_metrics, cloudwatch_emf, stdout.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

resource "aws_iam_policy" "forwarder_policy" {
  name_prefix = "tollmeter-forwarder-"
  description = "What the forwarder of chat calls"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "StoreRawObjects"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::my-lake/raw/*"]
      },
      {
        Sid      = "TellMissingFromForbidden"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::my-lake"]
      },
      {
        Sid      = "EncryptRawObjects"
        Effect   = "Allow"
        Action   = ["kms:GenerateDataKey", "kms:Decrypt"]
        Resource = ["arn:${data.aws_partition.current.partition}:kms:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:key/*"]
        Condition = {
          "ForAnyValue:StringEquals" = {
            "kms:ResourceAliases" = ["alias/lake"]
          }
        }
      },
      {
        Sid      = "PutRecords"
        Effect   = "Allow"
        Action   = ["firehose:PutRecordBatch", "firehose:DescribeDeliveryStream"]
        Resource = ["arn:${data.aws_partition.current.partition}:firehose:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:deliverystream/events"]
      },
      {
        Sid      = "PutLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutRetentionPolicy", "logs:PutLogEvents"]
        Resource = ["arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:log-group:/tollmeter/*", "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:log-group:/tollmeter/*:log-stream:*"]
      },
      {
        Sid      = "PutMetrics"
        Effect   = "Allow"
        Action   = ["cloudwatch:PutMetricData"]
        Resource = ["*"]
        Condition = {
          StringEquals = {
            "cloudwatch:namespace" = ["Tollmeter", "AIplatform"]
          }
        }
      },
    ]
  })
}

output "policy_arn" {
  description = "ARN of the policy."
  value       = aws_iam_policy.forwarder_policy.arn
}
