# Tollmeter: chat on ECS with the forwarder beside it.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

variable "app_image" {
  type        = string
  description = "Image of the service."
}

variable "app_port" {
  type        = number
  description = "Port the service listens on."
  default     = 8080
}

variable "app_user" {
  type        = string
  description = "User of the service's image, and the group 10001 that shares the spool."
  default     = "1000:10001"
}

variable "forwarder_image" {
  type        = string
  description = "Image of the forwarder (tollmeter deploy render container)."
}

variable "execution_role_arn" {
  type        = string
  description = "ARN of the role that pulls images and writes the containers' logs."
}

variable "task_cpu" {
  type        = string
  description = "CPU units of the task."
  default     = "512"
}

variable "task_memory" {
  type        = string
  description = "Memory of the task in MiB."
  default     = "1024"
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

resource "aws_cloudwatch_log_group" "log_group" {
  name              = "/ecs/chat"
  retention_in_days = 30
}

resource "aws_iam_role" "task_role" {
  name_prefix = "tollmeter-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "ecs-tasks.amazonaws.com"
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

resource "aws_iam_role_policy" "task_role_policy" {
  name = "tollmeter"
  role = aws_iam_role.task_role.name
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

resource "aws_ecs_task_definition" "task_definition" {
  family                   = "chat"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.task_cpu
  memory                   = var.task_memory
  execution_role_arn       = var.execution_role_arn
  task_role_arn            = aws_iam_role.task_role.arn
  container_definitions = jsonencode([
    {
      name      = "app"
      image     = var.app_image
      essential = true
      user      = var.app_user
      portMappings = [
        {
          containerPort = var.app_port
          protocol      = "tcp"
        },
      ]
      environment = [
        {
          name  = "TOLLMETER_ENVIRONMENT"
          value = "production"
        },
        {
          name  = "TOLLMETER_HOME"
          value = "/var/lib/tollmeter"
        },
        {
          name  = "TOLLMETER_SERVICE"
          value = "chat"
        },
      ]
      mountPoints = [
        {
          sourceVolume  = "tollmeter"
          containerPath = "/var/lib/tollmeter"
          readOnly      = false
        },
      ]
      dependsOn = [
        {
          containerName = "forwarder"
          condition     = "START"
        },
      ]
      stopTimeout = 60
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.log_group.name
          awslogs-region        = data.aws_region.current.region
          awslogs-stream-prefix = "app"
          mode                  = "non-blocking"
          max-buffer-size       = "25m"
        }
      }
    },
    {
      name      = "forwarder"
      image     = var.forwarder_image
      command   = ["forward"]
      essential = false
      restartPolicy = {
        enabled              = true
        restartAttemptPeriod = 60
      }
      user                   = "10001:10001"
      readonlyRootFilesystem = true
      linuxParameters = {
        capabilities = {
          drop = ["ALL"]
        }
        initProcessEnabled = false
      }
      environment = [
        {
          name  = "TOLLMETER_ENVIRONMENT"
          value = "production"
        },
        {
          name  = "TOLLMETER_FIREHOSE_STREAM"
          value = "events"
        },
        {
          name  = "TOLLMETER_FORWARD_GRACE_S"
          value = "100"
        },
        {
          name  = "TOLLMETER_HEALTH_PORT"
          value = "8686"
        },
        {
          name  = "TOLLMETER_HOME"
          value = "/var/lib/tollmeter"
        },
        {
          name  = "TOLLMETER_KMS_KEY"
          value = "alias/lake"
        },
        {
          name  = "TOLLMETER_METRIC_PRESET"
          value = "ai_platform"
        },
        {
          name  = "TOLLMETER_RAW_URL"
          value = "s3://my-lake/raw"
        },
        {
          name  = "TOLLMETER_SINKS"
          value = "s3,firehose,cloudwatch_logs,cloudwatch_metrics,cloudwatch_emf,stdout"
        },
      ]
      mountPoints = [
        {
          sourceVolume  = "tollmeter"
          containerPath = "/var/lib/tollmeter"
          readOnly      = false
        },
      ]
      stopTimeout = 120
      healthCheck = {
        command     = ["CMD", "python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8686/health', timeout=4)"]
        interval    = 30
        timeout     = 5
        retries     = 3
        startPeriod = 15
      }
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.log_group.name
          awslogs-region        = data.aws_region.current.region
          awslogs-stream-prefix = "forwarder"
          mode                  = "non-blocking"
          max-buffer-size       = "25m"
        }
      }
    },
  ])

  volume {
    name = "tollmeter"
  }
}

output "task_definition_arn" {
  description = "ARN of the task definition."
  value       = aws_ecs_task_definition.task_definition.arn
}
