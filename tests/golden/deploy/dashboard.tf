# Tollmeter: the dashboard over s3://my-lake/lake, behind a load balancer that signs in with Cognito.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

variable "image" {
  type        = string
  description = "Image of the dashboard (tollmeter deploy render dashboard-container)."
}

variable "execution_role_arn" {
  type        = string
  description = "ARN of the role that pulls images and writes the containers' logs."
}

variable "cluster" {
  type        = string
  description = "Name of the ECS cluster."
}

variable "vpc_id" {
  type        = string
  description = "VPC of load balancer and task."
}

variable "load_balancer_subnet_ids" {
  type        = list(string)
  description = "Subnets of the load balancer, in two zones."
}

variable "task_subnet_ids" {
  type        = list(string)
  description = "Subnets of the task, with a way to S3, Glue and the user pool."
}

variable "scheme" {
  type        = string
  description = "Whether the load balancer is internal or internet-facing."
  default     = "internal"
}

variable "allowed_cidr" {
  type        = string
  description = "Addresses that may reach the load balancer, such as 10.0.0.0/8."
}

variable "certificate_arn" {
  type        = string
  description = "ARN of the certificate of the dashboard's name."
}

variable "user_pool_id" {
  type        = string
  description = "Id of the Cognito user pool, such as eu-central-1_Ab12."
}

variable "user_pool_client_id" {
  type        = string
  description = "Id of its app client, which has a secret and the code grant."
}

variable "user_pool_domain" {
  type        = string
  description = "Domain prefix or own domain of the user pool."
}

variable "task_cpu" {
  type        = string
  description = "CPU units of the task."
  default     = "2048"
}

variable "task_memory" {
  type        = string
  description = "Memory of the task in MiB; DuckDB gets half of 4096."
  default     = "4096"
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

resource "aws_security_group" "balancer_group" {
  name_prefix = "tollmeter-"
  description = "Browsers to the load balancer of the dashboard"
  vpc_id      = var.vpc_id

  ingress {
    from_port   = 443
    to_port     = 443
    protocol    = "tcp"
    cidr_blocks = [var.allowed_cidr]
  }

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "task_group" {
  name_prefix = "tollmeter-"
  description = "The load balancer to the task of the dashboard"
  vpc_id      = var.vpc_id

  ingress {
    from_port       = 8050
    to_port         = 8050
    protocol        = "tcp"
    security_groups = [aws_security_group.balancer_group.id]
  }

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_lb" "load_balancer" {
  name                       = "tollmeter-dashboard"
  load_balancer_type         = "application"
  internal                   = var.scheme == "internal"
  subnets                    = var.load_balancer_subnet_ids
  security_groups            = [aws_security_group.balancer_group.id]
  drop_invalid_header_fields = true
}

resource "aws_lb_target_group" "target_group" {
  name                 = "tollmeter-dashboard"
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = 8050
  vpc_id               = var.vpc_id
  deregistration_delay = 60

  health_check {
    path                = "/healthz"
    interval            = 30
    timeout             = 5
    unhealthy_threshold = 5
  }
}

resource "aws_lb_listener" "listener" {
  load_balancer_arn = aws_lb.load_balancer.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate_arn

  default_action {
    order = 1
    type  = "authenticate-cognito"

    authenticate_cognito {
      user_pool_arn              = "arn:${data.aws_partition.current.partition}:cognito-idp:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:userpool/${var.user_pool_id}"
      user_pool_client_id        = var.user_pool_client_id
      user_pool_domain           = var.user_pool_domain
      scope                      = "openid"
      on_unauthenticated_request = "authenticate"
    }
  }

  default_action {
    order            = 2
    type             = "forward"
    target_group_arn = aws_lb_target_group.target_group.arn
  }
}

resource "aws_cloudwatch_log_group" "log_group" {
  name              = "/ecs/tollmeter-dashboard"
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
        Sid      = "ReadLake"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::my-lake/lake/*"]
      },
      {
        Sid      = "TellMissingFromForbidden"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::my-lake"]
      },
      {
        Sid      = "DecryptLake"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = ["arn:${data.aws_partition.current.partition}:kms:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:key/*"]
        Condition = {
          "ForAnyValue:StringEquals" = {
            "kms:ResourceAliases" = ["alias/lake"]
          }
        }
      },
      {
        Sid      = "ReadCatalog"
        Effect   = "Allow"
        Action   = ["glue:GetDatabase", "glue:GetTable", "glue:GetTables"]
        Resource = ["arn:${data.aws_partition.current.partition}:glue:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:catalog", "arn:${data.aws_partition.current.partition}:glue:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:database/tollmeter", "arn:${data.aws_partition.current.partition}:glue:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/tollmeter/*"]
      },
    ]
  })
}

resource "aws_ecs_task_definition" "task_definition" {
  family                   = "tollmeter-dashboard"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.task_cpu
  memory                   = var.task_memory
  execution_role_arn       = var.execution_role_arn
  task_role_arn            = aws_iam_role.task_role.arn
  container_definitions = jsonencode([
    {
      name                   = "dashboard"
      image                  = var.image
      essential              = true
      user                   = "10001:10001"
      readonlyRootFilesystem = true
      linuxParameters = {
        capabilities = {
          drop = ["ALL"]
        }
        initProcessEnabled = true
      }
      portMappings = [
        {
          containerPort = 8050
          protocol      = "tcp"
        },
      ]
      environment = [
        {
          name  = "TOLLMETER_AUTH_ALB_ARN"
          value = aws_lb.load_balancer.arn
        },
        {
          name  = "TOLLMETER_AUTH_AUDIENCE"
          value = var.user_pool_client_id
        },
        {
          name  = "TOLLMETER_AUTH_ISSUER"
          value = "https://cognito-idp.${data.aws_region.current.region}.amazonaws.com/${var.user_pool_id}"
        },
        {
          name  = "TOLLMETER_DASHBOARD_MEMORY_BYTES"
          value = "2048M"
        },
        {
          name  = "TOLLMETER_DASHBOARD_PROXIES"
          value = "1"
        },
        {
          name  = "TOLLMETER_LAKE_URL"
          value = "s3://my-lake/lake"
        },
      ]
      mountPoints = [
        {
          sourceVolume  = "tmp"
          containerPath = "/tmp"
          readOnly      = false
        },
      ]
      stopTimeout = 90
      healthCheck = {
        command     = ["CMD", "python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8050/livez', timeout=4)"]
        interval    = 30
        timeout     = 5
        retries     = 3
        startPeriod = 60
      }
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.log_group.name
          awslogs-region        = data.aws_region.current.region
          awslogs-stream-prefix = "dashboard"
          mode                  = "non-blocking"
          max-buffer-size       = "25m"
        }
      }
    },
  ])

  volume {
    name = "tmp"
  }
}

resource "aws_ecs_service" "service" {
  name                              = "tollmeter-dashboard"
  cluster                           = var.cluster
  task_definition                   = aws_ecs_task_definition.task_definition.arn
  launch_type                       = "FARGATE"
  desired_count                     = 1
  health_check_grace_period_seconds = 120
  depends_on                        = [aws_lb_listener.listener]

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets         = var.task_subnet_ids
    security_groups = [aws_security_group.task_group.id]
  }

  load_balancer {
    container_name   = "dashboard"
    container_port   = 8050
    target_group_arn = aws_lb_target_group.target_group.arn
  }
}

output "load_balancer_name" {
  description = "DNS name that the dashboard's own is to point at."
  value       = aws_lb.load_balancer.dns_name
}
