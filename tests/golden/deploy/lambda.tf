# Tollmeter: from the log of chat on Lambda to s3://my-lake/raw/

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

variable "function_name" {
  type        = string
  description = "Name of the function, whose log group exists."
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

resource "aws_iam_role" "stream_role" {
  name_prefix = "tollmeter-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "firehose.amazonaws.com"
        }
        Action = "sts:AssumeRole"
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "stream_role_policy" {
  name = "tollmeter"
  role = aws_iam_role.stream_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "StoreObjects"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::my-lake/raw/*", "arn:${data.aws_partition.current.partition}:s3:::my-lake/raw-errors/*"]
      },
      {
        Sid      = "LookIntoBucket"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::my-lake"]
      },
    ]
  })
}

resource "aws_kinesis_firehose_delivery_stream" "stream" {
  name        = "tollmeter-${var.function_name}"
  destination = "extended_s3"
  depends_on  = [aws_iam_role_policy.stream_role_policy]

  extended_s3_configuration {
    bucket_arn          = "arn:${data.aws_partition.current.partition}:s3:::my-lake"
    role_arn            = aws_iam_role.stream_role.arn
    prefix              = "raw/dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/"
    error_output_prefix = "raw-errors/!{firehose:error-output-type}/dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/"
    file_extension      = ".jsonl.gz"
    compression_format  = "GZIP"
    buffering_interval  = 60
    buffering_size      = 64

    processing_configuration {
      enabled = true

      processors {
        type = "Decompression"

        parameters {
          parameter_name  = "CompressionFormat"
          parameter_value = "GZIP"
        }
      }

      processors {
        type = "CloudWatchLogProcessing"

        parameters {
          parameter_name  = "DataMessageExtraction"
          parameter_value = "true"
        }
      }
    }
  }
}

resource "aws_iam_role" "subscription_role" {
  name_prefix = "tollmeter-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "logs.amazonaws.com"
        }
        Action = "sts:AssumeRole"
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "subscription_role_policy" {
  name = "tollmeter"
  role = aws_iam_role.subscription_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "PutRecords"
        Effect   = "Allow"
        Action   = ["firehose:PutRecord", "firehose:PutRecordBatch"]
        Resource = [aws_kinesis_firehose_delivery_stream.stream.arn]
      },
    ]
  })
}

resource "aws_cloudwatch_log_subscription_filter" "subscription" {
  name            = "tollmeter"
  log_group_name  = "/aws/lambda/${var.function_name}"
  filter_pattern  = "{ ($.kind = \"request\") || ($.kind = \"llm_call\") || ($.kind = \"evaluation\") || ($.kind = \"run\") }"
  destination_arn = aws_kinesis_firehose_delivery_stream.stream.arn
  role_arn        = aws_iam_role.subscription_role.arn
  depends_on      = [aws_iam_role_policy.subscription_role_policy]
}

output "function_environment" {
  description = "Environment of the function, as JSON."
  value       = "{\"TOLLMETER_ENVIRONMENT\": \"production\", \"TOLLMETER_ROUTE\": \"stdout\", \"TOLLMETER_SERVICE\": \"chat\"}"
}
