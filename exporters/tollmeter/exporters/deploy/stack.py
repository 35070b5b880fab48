"""A stack of resources, told once for CloudFormation and Terraform.

Values that are looked up stand in text as `${Parameter}`, `${Resource.Arn}` and `${AWS::Region}`, CloudFormation's own
way, and `${!aws:userid}` is what IAM looks up itself; Terraform's are made from them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from tollmeter.exporters.deploy.hcl import Block, Encoded, Expression, document

_LOOKED_UP: Final = re.compile(r"\$\{([A-Za-z0-9:.]+)\}")
_LITERAL: Final = "${!"
_PROVIDER: Final = Block(
    "terraform",
    (),
    {"providers": Block("required_providers", (), {"aws": {"source": "hashicorp/aws", "version": ">= 6.0"}})},
)
_PSEUDO: Final = {
    "AWS::Partition": "data.aws_partition.current.partition",
    "AWS::Region": "data.aws_region.current.region",
    "AWS::AccountId": "data.aws_caller_identity.current.account_id",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that is given when the stack is made; one without a default must be.

    `kind` is CloudFormation's type where it is neither text nor number, such as `List<AWS::EC2::Subnet::Id>`.
    """

    name: str
    description: str
    default: str | int | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource: its name in the stack, its type and properties as each of the two wants them.

    `after` names resources that must be there first.
    """

    name: str
    kind: str
    properties: dict[str, Any]
    terraform_kind: str
    arguments: dict[str, Any]
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stack:
    """What is rendered; `outputs` are description and value by name."""

    description: str
    parameters: tuple[Parameter, ...]
    resources: tuple[Resource, ...]
    outputs: dict[str, tuple[str, Any]] = field(default_factory=dict)


def cloudformation(stack: Stack) -> str:
    """A template in JSON, ready for `aws cloudformation deploy`."""
    template: dict[str, Any] = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": stack.description,
        "Parameters": {each.name: _parameter(each) for each in stack.parameters},
        "Resources": {
            each.name: {"Type": each.kind}
            | ({"DependsOn": list(each.after)} if each.after else {})
            | {"Properties": _substituted(each.properties)}
            for each in stack.resources
        },
        "Outputs": {
            name: {"Description": text, "Value": _substituted(value)} for name, (text, value) in stack.outputs.items()
        },
    }
    return json.dumps({key: value for key, value in template.items() if value}, indent=2) + "\n"


def terraform(stack: Stack) -> str:
    """A module: variables, data sources, resources and outputs, as `terraform fmt` would leave it."""
    kinds = {each.name: each.terraform_kind for each in stack.resources}
    used = json.dumps([each.arguments for each in stack.resources], default=_plain)
    data = [
        Block("data", (name.split(".")[1], "current"), {})
        for pseudo, name in sorted(_PSEUDO.items())
        if f"${{{pseudo}}}" in used
    ]
    variables = [Block("variable", (snake(each.name),), _variable(each)) for each in stack.parameters]
    resources = [
        Block(
            "resource",
            (each.terraform_kind, snake(each.name)),
            _interpolated(each.arguments, kinds) | _after(each, kinds),
        )
        for each in stack.resources
    ]
    outputs = [
        Block("output", (snake(name),), {"description": text, "value": _interpolated(value, kinds)})
        for name, (text, value) in stack.outputs.items()
    ]
    return document(stack.description, [_PROVIDER, *variables, *data, *resources, *outputs])


def _after(each: Resource, kinds: dict[str, str]) -> dict[str, Any]:
    found = [Expression(f"{kinds[name]}.{snake(name)}") for name in each.after]
    return {"depends_on": found} if found else {}


def snake(name: str) -> str:
    """A name of CloudFormation as Terraform has it.

    >>> snake("KMSKeyArn"), snake("AppImage")
    ('kms_key_arn', 'app_image')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Encoded) else [value.arguments] if isinstance(value, Block) else str(value)


def _parameter(each: Parameter) -> dict[str, Any]:
    kind = each.kind or ("Number" if isinstance(each.default, int) else "String")
    return {"Type": kind, "Description": each.description} | ({} if each.default is None else {"Default": each.default})


def _variable(each: Parameter) -> dict[str, Any]:
    plain = "number" if isinstance(each.default, int) else "string"
    kind = Expression(f"list({plain})" if each.kind.startswith("List<") else plain)
    return {"type": kind, "description": each.description} | ({} if each.default is None else {"default": each.default})


def _substituted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _substituted(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_substituted(each) for each in value]
    if not isinstance(value, str):
        return value
    found = _LOOKED_UP.findall(value)
    if not found and _LITERAL not in value:
        return value
    if found and value == f"${{{found[0]}}}":
        owner, _, attribute = found[0].partition(".")
        return {"Fn::GetAtt": [owner, attribute]} if attribute else {"Ref": found[0]}
    return {"Fn::Sub": value}


def _interpolated(value: Any, kinds: dict[str, str]) -> Any:
    if isinstance(value, Block):
        return Block(value.kind, value.labels, _interpolated(value.arguments, kinds))
    if isinstance(value, Encoded):
        return Encoded(_interpolated(value.value, kinds))
    if isinstance(value, dict):
        return {key: _interpolated(each, kinds) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_interpolated(each, kinds) for each in value]
    if isinstance(value, str) and not isinstance(value, Expression):
        return _expression(value, kinds)
    return value


def _expression(text: str, kinds: dict[str, str]) -> str:
    whole = _LOOKED_UP.fullmatch(text)
    if whole:
        return Expression(_reference(whole[1], kinds))
    return _LOOKED_UP.sub(lambda found: f"${{{_reference(found[1], kinds)}}}", text).replace(_LITERAL, "$${")


def _reference(name: str, kinds: dict[str, str]) -> str:
    if name in _PSEUDO:
        return _PSEUDO[name]
    owner, _, attribute = name.partition(".")
    if owner in kinds:
        # A resource has one ARN and one id, whatever CloudFormation calls them; without an attribute its name is meant.
        meant = "arn" if attribute.endswith("Arn") else "id" if attribute.endswith("Id") else snake(attribute) or "name"
        return f"{kinds[owner]}.{snake(owner)}.{meant}"
    return f"var.{snake(owner)}"


def pascal(value: Any, *, keep: frozenset[str] = frozenset({"options"})) -> Any:
    """The keys of a document as CloudFormation has them, but for maps of the user's own below a key of `keep`.

    >>> pascal({"logConfiguration": {"options": {"awslogs-group": "g"}}})
    {'LogConfiguration': {'Options': {'awslogs-group': 'g'}}}
    """
    if isinstance(value, dict):
        return {
            key[0].upper() + key[1:]: each if key in keep else pascal(each, keep=keep) for key, each in value.items()
        }
    return [pascal(each, keep=keep) for each in value] if isinstance(value, list) else value
