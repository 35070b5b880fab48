"""The dashboard on Fargate behind a load balancer of its own, whose listener signs viewers in with Cognito first.

The load balancer alone reaches the task, and the task believes the tokens of this load balancer alone. Groups are in
the access token beside them, which the task checks against the user pool (docs/dashboard-deploy.md).
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html
"""

from __future__ import annotations

from typing import Any, Final

from tollmeter.exporters.deploy import network
from tollmeter.exporters.deploy.hcl import Block, Encoded
from tollmeter.exporters.deploy.lake_policy import statements
from tollmeter.exporters.deploy.options import Deployment
from tollmeter.exporters.deploy.policy import role
from tollmeter.exporters.deploy.stack import Parameter, Resource, Stack, pascal

NAME: Final = "tollmeter-dashboard"
_USER: Final = "10001:10001"
_VOLUME: Final = "tmp"
_STOP_S: Final = 90
_RETENTION_DAYS: Final = 30
_MEMORY_MIB: Final = 4096
_LOOK: Final = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{network.PORT}/livez', timeout=4)"
_PARAMETERS: Final = (
    Parameter("Image", "Image of the dashboard (tollmeter deploy render dashboard-container)."),
    Parameter("ExecutionRoleArn", "ARN of the role that pulls images and writes the containers' logs."),
    Parameter("Cluster", "Name of the ECS cluster."),
    *network.PARAMETERS,
    Parameter("TaskCpu", "CPU units of the task.", "2048"),
    Parameter("TaskMemory", "Memory of the task in MiB; DuckDB gets half of 4096.", str(_MEMORY_MIB)),
)
_CARRIED: Final = (
    "glue_database",
    "timezone",
    "engine",
    "redshift_database",
    "redshift_workgroup",
    "redshift_cluster",
    "redshift_user",
    "redshift_schema",
    "redshift_timeout_s",
    "auth_tenant_claim",
    "auth_admin",
    "dashboard_prefix",
    "dashboard_threads",
    "dashboard_cache_bytes",
    "dashboard_cache_age_s",
    "dashboard_stale_s",
)


def stack(deployment: Deployment) -> Stack:
    """Load balancer, listener, target group, security groups, service, task definition, task role and log group.

    Raises:
        SettingError: neither lake_url nor a bucket is given, or the engine lacks what its permissions name.
    """
    resources = (
        *network.resources(NAME),
        _log_group(),
        *role("TaskRole", "ecs-tasks", statements(deployment)),
        _task(deployment),
        _service(),
    )
    outputs = {"LoadBalancerName": ("DNS name that the dashboard's own is to point at.", "${LoadBalancer.DNSName}")}
    title = f"Tollmeter: the dashboard over {deployment.lake_url}, behind a load balancer that signs in with Cognito."
    return Stack(title, _PARAMETERS, resources, outputs)


def _environment(deployment: Deployment) -> dict[str, str]:
    pool = "https://cognito-idp.${AWS::Region}.amazonaws.com/${UserPoolId}"
    return {
        "TOLLMETER_LAKE_URL": deployment.lake_url,
        "TOLLMETER_AUTH_ALB_ARN": "${LoadBalancer.LoadBalancerArn}",
        "TOLLMETER_AUTH_ISSUER": pool,
        "TOLLMETER_AUTH_AUDIENCE": "${UserPoolClientId}",
        "TOLLMETER_DASHBOARD_PROXIES": "1",
        "TOLLMETER_DASHBOARD_MEMORY_BYTES": f"{_MEMORY_MIB // 2}M",
    } | deployment.told(_CARRIED)


def _container(deployment: Deployment) -> dict[str, Any]:
    env = sorted(_environment(deployment).items())
    return {
        "name": "dashboard",
        "image": "${Image}",
        "essential": True,
        "user": _USER,
        "readonlyRootFilesystem": True,
        "linuxParameters": {"capabilities": {"drop": ["ALL"]}, "initProcessEnabled": True},
        "portMappings": [{"containerPort": network.PORT, "protocol": "tcp"}],
        "environment": [{"name": name, "value": value} for name, value in env],
        "mountPoints": [{"sourceVolume": _VOLUME, "containerPath": "/tmp", "readOnly": False}],  # noqa: S108 - a volume
        "stopTimeout": _STOP_S,
        "healthCheck": {
            "command": ["CMD", "python", "-c", _LOOK],
            "interval": 30,
            "timeout": 5,
            "retries": 3,
            "startPeriod": 60,
        },
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": "${LogGroup}",
                "awslogs-region": "${AWS::Region}",
                "awslogs-stream-prefix": "dashboard",
                "mode": "non-blocking",
                "max-buffer-size": "25m",
            },
        },
    }


def _task(deployment: Deployment) -> Resource:
    containers = [_container(deployment)]
    return Resource(
        "TaskDefinition",
        "AWS::ECS::TaskDefinition",
        {
            "Family": NAME,
            "RequiresCompatibilities": ["FARGATE"],
            "NetworkMode": "awsvpc",
            "Cpu": "${TaskCpu}",
            "Memory": "${TaskMemory}",
            "ExecutionRoleArn": "${ExecutionRoleArn}",
            "TaskRoleArn": "${TaskRole.Arn}",
            "Volumes": [{"Name": _VOLUME}],
            "ContainerDefinitions": pascal(containers),
        },
        "aws_ecs_task_definition",
        {
            "family": NAME,
            "requires_compatibilities": ["FARGATE"],
            "network_mode": "awsvpc",
            "cpu": "${TaskCpu}",
            "memory": "${TaskMemory}",
            "execution_role_arn": "${ExecutionRoleArn}",
            "task_role_arn": "${TaskRole.Arn}",
            "container_definitions": Encoded(containers),
            "volume": Block("volume", (), {"name": _VOLUME}),
        },
    )


def _service() -> Resource:
    port = network.PORT
    return Resource(
        "Service",
        "AWS::ECS::Service",
        {
            "Cluster": "${Cluster}",
            "TaskDefinition": "${TaskDefinition.TaskDefinitionArn}",
            "LaunchType": "FARGATE",
            "DesiredCount": 1,
            "HealthCheckGracePeriodSeconds": 120,
            "DeploymentConfiguration": {"DeploymentCircuitBreaker": {"Enable": True, "Rollback": True}},
            "NetworkConfiguration": {
                "AwsvpcConfiguration": {"Subnets": "${TaskSubnetIds}", "SecurityGroups": ["${TaskGroup.GroupId}"]}
            },
            "LoadBalancers": [
                {"ContainerName": "dashboard", "ContainerPort": port, "TargetGroupArn": "${TargetGroup.TargetGroupArn}"}
            ],
        },
        "aws_ecs_service",
        {
            "name": NAME,
            "cluster": "${Cluster}",
            "task_definition": "${TaskDefinition.TaskDefinitionArn}",
            "launch_type": "FARGATE",
            "desired_count": 1,
            "health_check_grace_period_seconds": 120,
            "deployment_circuit_breaker": Block("deployment_circuit_breaker", (), {"enable": True, "rollback": True}),
            "network_configuration": Block(
                "network_configuration",
                (),
                {"subnets": "${TaskSubnetIds}", "security_groups": ["${TaskGroup.GroupId}"]},
            ),
            "load_balancer": Block(
                "load_balancer",
                (),
                {
                    "container_name": "dashboard",
                    "container_port": port,
                    "target_group_arn": "${TargetGroup.TargetGroupArn}",
                },
            ),
        },
        # A target group takes targets once a listener sends to it.
        after=("Listener",),
    )


def _log_group() -> Resource:
    name = f"/ecs/{NAME}"
    return Resource(
        "LogGroup",
        "AWS::Logs::LogGroup",
        {"LogGroupName": name, "RetentionInDays": _RETENTION_DAYS},
        "aws_cloudwatch_log_group",
        {"name": name, "retention_in_days": _RETENTION_DAYS},
    )
