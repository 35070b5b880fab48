"""An ECS task: the service, and the forwarder beside it on a volume that both share.

The service depends on the forwarder, so that ECS starts the forwarder first and, in the order reversed, stops it once
the service has ended; it then has its own 120 s, the most ECS grants. The forwarder is not essential and is started
again when it ends: neither its death nor an outage of a sink (which its health tells) stops the service.
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
"""

from __future__ import annotations

from typing import Any, Final

from tollmeter.exporters.deploy.hcl import Block, Encoded
from tollmeter.exporters.deploy.options import Deployment
from tollmeter.exporters.deploy.policy import role, statements
from tollmeter.exporters.deploy.stack import Parameter, Resource, Stack, pascal

_HOME: Final = "/var/lib/tollmeter"
_VOLUME: Final = "tollmeter"
_USER: Final = "10001:10001"
_HEALTH_PORT: Final = 8686
_STOP_S: Final = 120
_GRACE_S: Final = 100
_RETENTION_DAYS: Final = 30
_LOOK: Final = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{_HEALTH_PORT}/health', timeout=4)"
_PARAMETERS: Final = (
    Parameter("AppImage", "Image of the service."),
    Parameter("AppPort", "Port the service listens on.", 8080),
    Parameter("AppUser", "User of the service's image, and the group 10001 that shares the spool.", "1000:10001"),
    Parameter("ForwarderImage", "Image of the forwarder (tollmeter deploy render container)."),
    Parameter("ExecutionRoleArn", "ARN of the role that pulls images and writes the containers' logs."),
    Parameter("TaskCpu", "CPU units of the task.", "512"),
    Parameter("TaskMemory", "Memory of the task in MiB.", "1024"),
)


def stack(deployment: Deployment) -> Stack:
    """Task definition, task role and log group."""
    title = f"Tollmeter: {deployment.service} on ECS with the forwarder beside it."
    resources = (_log_group(deployment), *role("TaskRole", "ecs-tasks", statements(deployment)), _task(deployment))
    outputs = {"TaskDefinitionArn": ("ARN of the task definition.", "${TaskDefinition.TaskDefinitionArn}")}
    return Stack(title, _PARAMETERS, resources, outputs)


def _containers(deployment: Deployment) -> list[dict[str, Any]]:
    return [_app(deployment), _forwarder(deployment)]


def _app(deployment: Deployment) -> dict[str, Any]:
    env = {"TOLLMETER_HOME": _HOME, "TOLLMETER_SERVICE": deployment.service} | deployment.service_env()
    return {
        "name": "app",
        "image": "${AppImage}",
        "essential": True,
        "user": "${AppUser}",
        "portMappings": [{"containerPort": "${AppPort}", "protocol": "tcp"}],
        "environment": _environment(env),
        "mountPoints": [_mount()],
        "dependsOn": [{"containerName": "forwarder", "condition": "START"}],
        "stopTimeout": 60,
        "logConfiguration": _logs("app"),
    }


def _forwarder(deployment: Deployment) -> dict[str, Any]:
    env = {
        "TOLLMETER_HOME": _HOME,
        "TOLLMETER_SINKS": ",".join(deployment.settings.sinks),
        "TOLLMETER_FORWARD_GRACE_S": str(_GRACE_S),
        "TOLLMETER_HEALTH_PORT": str(_HEALTH_PORT),
    }
    return {
        "name": "forwarder",
        "image": "${ForwarderImage}",
        "command": ["forward"],
        "essential": False,
        "restartPolicy": {"enabled": True, "restartAttemptPeriod": 60},
        "user": _USER,
        "readonlyRootFilesystem": True,
        "linuxParameters": {"capabilities": {"drop": ["ALL"]}, "initProcessEnabled": False},
        "environment": _environment(env | deployment.forwarder_env()),
        "mountPoints": [_mount()],
        "stopTimeout": _STOP_S,
        "healthCheck": {
            "command": ["CMD", "python", "-c", _LOOK],
            "interval": 30,
            "timeout": 5,
            "retries": 3,
            "startPeriod": 15,
        },
        "logConfiguration": _logs("forwarder"),
    }


def _environment(env: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in sorted(env.items())]


def _mount() -> dict[str, Any]:
    return {"sourceVolume": _VOLUME, "containerPath": _HOME, "readOnly": False}


def _logs(stream: str) -> dict[str, Any]:
    # Non-blocking: a log group that is out of reach must not hold up what writes to stdout.
    return {
        "logDriver": "awslogs",
        "options": {
            "awslogs-group": "${LogGroup}",
            "awslogs-region": "${AWS::Region}",
            "awslogs-stream-prefix": stream,
            "mode": "non-blocking",
            "max-buffer-size": "25m",
        },
    }


def _log_group(deployment: Deployment) -> Resource:
    name = f"/ecs/{deployment.service}"
    return Resource(
        "LogGroup",
        "AWS::Logs::LogGroup",
        {"LogGroupName": name, "RetentionInDays": _RETENTION_DAYS},
        "aws_cloudwatch_log_group",
        {"name": name, "retention_in_days": _RETENTION_DAYS},
    )


def _task(deployment: Deployment) -> Resource:
    containers = _containers(deployment)
    return Resource(
        "TaskDefinition",
        "AWS::ECS::TaskDefinition",
        {
            "Family": deployment.service,
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
            "family": deployment.service,
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
