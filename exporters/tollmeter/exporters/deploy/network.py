"""The way from a browser to the dashboard's task: load balancer, listener that signs in first, target group."""

from __future__ import annotations

from typing import Any, Final

from tollmeter.exporters.deploy.hcl import Block, Expression
from tollmeter.exporters.deploy.stack import Parameter, Resource

PORT: Final = 8050
_SUBNETS: Final = "List<AWS::EC2::Subnet::Id>"
_TLS: Final = "ELBSecurityPolicy-TLS13-1-2-2021-06"
_POOL_ARN: Final = "arn:${AWS::Partition}:cognito-idp:${AWS::Region}:${AWS::AccountId}:userpool/${UserPoolId}"
_HTTPS: Final = 443
PARAMETERS: Final = (
    Parameter("VpcId", "VPC of load balancer and task.", kind="AWS::EC2::VPC::Id"),
    Parameter("LoadBalancerSubnetIds", "Subnets of the load balancer, in two zones.", kind=_SUBNETS),
    Parameter("TaskSubnetIds", "Subnets of the task, with a way to S3, Glue and the user pool.", kind=_SUBNETS),
    Parameter("Scheme", "Whether the load balancer is internal or internet-facing.", "internal"),
    Parameter("AllowedCidr", "Addresses that may reach the load balancer, such as 10.0.0.0/8."),
    Parameter("CertificateArn", "ARN of the certificate of the dashboard's name."),
    Parameter("UserPoolId", "Id of the Cognito user pool, such as eu-central-1_Ab12."),
    Parameter("UserPoolClientId", "Id of its app client, which has a secret and the code grant."),
    Parameter("UserPoolDomain", "Domain prefix or own domain of the user pool."),
)


def resources(name: str) -> tuple[Resource, ...]:
    """Security groups, load balancer, target group and listener."""
    return (_balancer_group(), _task_group(), _balancer(name), _targets(name), _listener())


def _balancer_group() -> Resource:
    text = "Browsers to the load balancer of the dashboard"
    return _group("BalancerGroup", text, {"CidrIp": "${AllowedCidr}"}, {"cidr_blocks": ["${AllowedCidr}"]}, _HTTPS)


def _task_group() -> Resource:
    own = {"SourceSecurityGroupId": "${BalancerGroup.GroupId}"}
    text = "The load balancer to the task of the dashboard"
    return _group("TaskGroup", text, own, {"security_groups": ["${BalancerGroup.GroupId}"]}, PORT)


def _group(name: str, text: str, source: dict[str, Any], terraform_source: dict[str, Any], port: int) -> Resource:
    return Resource(
        name,
        "AWS::EC2::SecurityGroup",
        {
            "GroupDescription": text,
            "VpcId": "${VpcId}",
            "SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **source}],
        },
        "aws_security_group",
        {
            "name_prefix": "tollmeter-",
            "description": text,
            "vpc_id": "${VpcId}",
            "ingress": Block(
                "ingress", (), {"from_port": port, "to_port": port, "protocol": "tcp", **terraform_source}
            ),
            # CloudFormation lets everything out where nothing is said, Terraform nothing.
            "egress": Block(
                "egress", (), {"from_port": 0, "to_port": 0, "protocol": "-1", "cidr_blocks": ["0.0.0.0/0"]}
            ),
        },
    )


def _balancer(name: str) -> Resource:
    return Resource(
        "LoadBalancer",
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        {
            "Type": "application",
            "Scheme": "${Scheme}",
            "Subnets": "${LoadBalancerSubnetIds}",
            "SecurityGroups": ["${BalancerGroup.GroupId}"],
            "LoadBalancerAttributes": [{"Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "true"}],
        },
        "aws_lb",
        {
            "name": name,
            "load_balancer_type": "application",
            "internal": Expression('var.scheme == "internal"'),
            "subnets": "${LoadBalancerSubnetIds}",
            "security_groups": ["${BalancerGroup.GroupId}"],
            "drop_invalid_header_fields": True,
        },
    )


def _targets(name: str) -> Resource:
    return Resource(
        "TargetGroup",
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        {
            "TargetType": "ip",
            "Protocol": "HTTP",
            "Port": PORT,
            "VpcId": "${VpcId}",
            "HealthCheckPath": "/healthz",
            "HealthCheckIntervalSeconds": 30,
            "HealthCheckTimeoutSeconds": 5,
            "UnhealthyThresholdCount": 5,
            "TargetGroupAttributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "60"}],
        },
        "aws_lb_target_group",
        {
            "name": name,
            "target_type": "ip",
            "protocol": "HTTP",
            "port": PORT,
            "vpc_id": "${VpcId}",
            "deregistration_delay": 60,
            "health_check": Block(
                "health_check", (), {"path": "/healthz", "interval": 30, "timeout": 5, "unhealthy_threshold": 5}
            ),
        },
    )


def _listener() -> Resource:
    cognito = {
        "UserPoolArn": _POOL_ARN,
        "UserPoolClientId": "${UserPoolClientId}",
        "UserPoolDomain": "${UserPoolDomain}",
        "Scope": "openid",
        "OnUnauthenticatedRequest": "authenticate",
    }
    signing_in = {
        "user_pool_arn": _POOL_ARN,
        "user_pool_client_id": "${UserPoolClientId}",
        "user_pool_domain": "${UserPoolDomain}",
        "scope": "openid",
        "on_unauthenticated_request": "authenticate",
    }
    targets = "${TargetGroup.TargetGroupArn}"
    return Resource(
        "Listener",
        "AWS::ElasticLoadBalancingV2::Listener",
        {
            "LoadBalancerArn": "${LoadBalancer.LoadBalancerArn}",
            "Port": _HTTPS,
            "Protocol": "HTTPS",
            "SslPolicy": _TLS,
            "Certificates": [{"CertificateArn": "${CertificateArn}"}],
            "DefaultActions": [
                {"Order": 1, "Type": "authenticate-cognito", "AuthenticateCognitoConfig": cognito},
                {"Order": 2, "Type": "forward", "TargetGroupArn": targets},
            ],
        },
        "aws_lb_listener",
        {
            "load_balancer_arn": "${LoadBalancer.LoadBalancerArn}",
            "port": _HTTPS,
            "protocol": "HTTPS",
            "ssl_policy": _TLS,
            "certificate_arn": "${CertificateArn}",
            "sign_in": Block(
                "default_action",
                (),
                {
                    "order": 1,
                    "type": "authenticate-cognito",
                    "authenticate_cognito": Block("authenticate_cognito", (), signing_in),
                },
            ),
            "forward": Block("default_action", (), {"order": 2, "type": "forward", "target_group_arn": targets}),
        },
    )
