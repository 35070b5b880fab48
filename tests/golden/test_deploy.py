"""What `tollmeter deploy render` gives: held byte by byte, clean for cfn-lint, and as `terraform fmt` leaves it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tollmeter.dashboards.access.sign_in import sign_in_of
from tollmeter.exporters.deploy import FORMATS, TARGETS, Deployment, container_file, render
from tollmeter.exporters.deploy.hcl import Block, Encoded, Expression, document
from tollmeter.exporters.deploy.policy import PERMISSIONS, statements
from tollmeter.exporters.sinks import SINKS
from tollmeter.model.errors import SettingError, UnknownNameError
from tollmeter.model.setting_row import PREFIX
from tollmeter.model.settings import Settings

GOLDEN = Path(__file__).parent / "deploy"
SUFFIXES = {"cloudformation": "json", "terraform": "tf"}
HELD = ("s3", "firehose", "cloudwatch_logs", "cloudwatch_metrics", "cloudwatch_emf", "stdout")
CASES = [(target, form) for target in TARGETS for form in FORMATS]


def settings(*sinks: str, **more: Any) -> Settings:
    chosen = sinks or HELD
    known = {"service": "chat", "raw_url": "s3://my-lake/raw", "firehose_stream": "events", "environment": "production"}
    return Settings.load({}, sinks=chosen, **known | {"kms_key": "alias/lake", "metric_preset": "ai_platform"} | more)


def rendered(target: str, form: str) -> str:
    return render(target, form, Deployment(settings()))


@pytest.mark.parametrize(("target", "form"), CASES)
def test_it_is_as_held(target: str, form: str) -> None:
    text, path = rendered(target, form), GOLDEN / f"{target}.{SUFFIXES[form]}"
    if os.environ.get(f"{PREFIX}UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text, "run: make golden, and review the diff"


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_cfn_lint_finds_nothing(target: str, tmp_path: Path) -> None:
    path = tmp_path / f"{target}.json"
    path.write_text(rendered(target, "cloudformation"))
    command = [str(Path(sys.executable).parent / "cfn-lint"), "--regions", "us-east-1", "--", str(path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed; the golden files are held")
@pytest.mark.parametrize("target", TARGETS)
def test_terraform_would_format_nothing(target: str, tmp_path: Path) -> None:
    command = ["terraform", "fmt", "-check", "-diff", "-"]
    found = subprocess.run(
        command, input=rendered(target, "terraform"), capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (found.returncode, found.stdout) == (0, "")


def test_the_language_is_laid_out_as_terraform_does() -> None:
    body = {"a": 1, "long_name": Expression("var.x"), "map": {"k": True, "a-b.c": "${var.y} %{if"}, "z": ["x"]}
    text = document("A comment.", [Block("resource", ("t", "n"), body | {"in": Block("in", (), {})})])
    assert text == (
        '# A comment.\n\nresource "t" "n" {\n  a         = 1\n  long_name = var.x\n  map = {\n    k       = true\n'
        '    "a-b.c" = "${var.y} %%{if"\n  }\n  z = ["x"]\n\n  in {}\n}\n'
    )
    assert "p = jsonencode({\n    a = 1\n  })" in document("", [Block("x", (), {"p": Encoded({"a": 1})})])


def test_every_sink_says_what_it_may_do() -> None:
    assert set(SINKS) <= set(PERMISSIONS)


def allowed(*sinks: str, **more: Any) -> dict[str, Any]:
    return {each["Sid"]: each for each in statements(Deployment(settings(*sinks, **more)))}


@pytest.mark.parametrize("sink", sorted(SINKS))
def test_a_policy_names_actions_and_resources(sink: str) -> None:
    for statement in allowed(sink).values():
        assert all(re.fullmatch(r"[a-z0-9]+:[A-Za-z]+", action) for action in statement["Action"])
        if statement["Resource"] == ["*"]:  # the action knows no resources
            assert set(statement["Action"]) <= {"cloudwatch:PutMetricData", "xray:PutTraceSegments", "xray:PutSpans"}


def test_a_policy_allows_the_sinks_that_are_on_and_no_other() -> None:
    assert allowed("raw", "stdout") == {}
    assert set(allowed("s3", kms_key="")) == {"StoreRawObjects", "TellMissingFromForbidden"}
    assert allowed("s3")["StoreRawObjects"]["Resource"] == ["arn:${AWS::Partition}:s3:::my-lake/raw/*"]
    by_key = allowed("s3", kms_key="1234")["EncryptRawObjects"]
    assert by_key["Resource"] == ["arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:key/1234"]
    by_alias = allowed("s3", kms_key="alias/lake")["EncryptRawObjects"]["Condition"]
    assert by_alias == {"ForAnyValue:StringEquals": {"kms:ResourceAliases": ["alias/lake"]}}
    assert set(allowed("cloudwatch_logs", "cloudwatch_emf")) == {"PutLogs"}
    condition = allowed("cloudwatch_metrics")["PutMetrics"]["Condition"]
    assert condition == {"StringEquals": {"cloudwatch:namespace": ["Tollmeter", "AIplatform"]}}


@pytest.fixture
def containers() -> dict[str, Any]:
    template = json.loads(rendered("ecs", "cloudformation"))
    definitions = template["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    return {each["Name"]: each for each in definitions}


def test_the_forwarder_stops_after_the_service_and_never_stops_it(containers: dict[str, Any]) -> None:
    app, forwarder = containers["app"], containers["forwarder"]
    assert app["DependsOn"] == [{"ContainerName": "forwarder", "Condition": "START"}]
    assert "DependsOn" not in forwarder
    assert (app["Essential"], forwarder["Essential"], forwarder["RestartPolicy"]["Enabled"]) == (True, False, True)
    env = {each["Name"]: each["Value"] for each in forwarder["Environment"]}
    assert forwarder["StopTimeout"] == 120
    assert 10 <= forwarder["StopTimeout"] - float(env["TOLLMETER_FORWARD_GRACE_S"]) <= 30


def test_the_forwarder_is_nobody_special_and_both_share_one_volume(containers: dict[str, Any]) -> None:
    app, forwarder = containers["app"], containers["forwarder"]
    assert forwarder["ReadonlyRootFilesystem"] is True
    assert forwarder["User"] == "10001:10001"
    assert forwarder["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert app["MountPoints"] == forwarder["MountPoints"]
    homes = {
        each["Value"] for box in containers.values() for each in box["Environment"] if each["Name"].endswith("HOME")
    }
    assert homes == {app["MountPoints"][0]["ContainerPath"]} == {"/var/lib/tollmeter"}
    assert forwarder["LogConfiguration"]["Options"]["awslogs-stream-prefix"] == "forwarder"


def test_what_the_environment_sets_is_carried_over(containers: dict[str, Any]) -> None:
    env = {each["Name"]: each["Value"] for each in containers["forwarder"]["Environment"]}
    assert env["TOLLMETER_RAW_URL"] == "s3://my-lake/raw"
    assert env["TOLLMETER_KMS_KEY"] == "alias/lake"
    assert "TOLLMETER_CLOUDWATCH_NAMESPACE" not in env, "a default is not repeated"
    assert Settings.load(env).sinks == HELD


def test_the_subscription_takes_events_alone() -> None:
    template = json.loads(rendered("lambda", "cloudformation"))
    pattern = template["Resources"]["Subscription"]["Properties"]["FilterPattern"]
    assert pattern == (
        '{ ($.kind = "request") || ($.kind = "llm_call") || ($.kind = "evaluation") || ($.kind = "run") }'
    )
    stream = template["Resources"]["Stream"]["Properties"]["ExtendedS3DestinationConfiguration"]
    assert (stream["FileExtension"], stream["CompressionFormat"]) == (".jsonl.gz", "GZIP")
    assert stream["Prefix"].startswith("raw/dt=")
    environment = json.loads(template["Outputs"]["FunctionEnvironment"]["Value"])
    assert environment["TOLLMETER_ROUTE"] == "stdout"


def test_the_container_file_is_of_this_version_and_runs_as_the_user_of_the_task(containers: dict[str, Any]) -> None:
    text = container_file()
    assert "{version}" not in text
    assert f"USER {containers['forwarder']['User']}" in text
    assert f"VOLUME {containers['forwarder']['MountPoints'][0]['ContainerPath']}" in text
    assert "-m 2770 /var/lib/tollmeter" in text


def dashboard(**more: Any) -> dict[str, Any]:
    template = json.loads(render("dashboard", "cloudformation", Deployment(settings("raw", **more))))
    return dict(template["Resources"])


def permitted(**more: Any) -> dict[str, set[str]]:
    """Actions of the dashboard's task by service, and whether each names resources of its own."""
    found = dashboard(**more)["TaskRolePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    by_service: dict[str, set[str]] = {}
    for action in (action for statement in found for action in statement["Action"]):
        service, _, name = action.partition(":")
        by_service.setdefault(service, set()).add(name)
    return by_service


def test_the_dashboard_reads_the_lake_and_may_do_nothing_else() -> None:
    lake = {"s3": {"GetObject", "ListBucket"}, "glue": {"GetDatabase", "GetTable", "GetTables"}, "kms": {"Decrypt"}}
    assert permitted() == lake
    assert permitted(engine="redshift-data", redshift_workgroup="w") == lake | {
        "redshift-data": {"ExecuteStatement", "DescribeStatement", "GetStatementResult", "CancelStatement"},
        "redshift-serverless": {"GetCredentials", "GetWorkgroup"},
    }
    assert permitted(engine="redshift", redshift_cluster="c", redshift_user="reader") == lake | {
        "redshift": {"GetClusterCredentials", "DescribeClusters"}
    }
    with pytest.raises(SettingError, match="redshift_workgroup"):
        dashboard(engine="redshift")
    statements_of = dashboard(engine="redshift-data", redshift_workgroup="w")["TaskRolePolicy"]["Properties"]
    for statement in statements_of["PolicyDocument"]["Statement"]:
        if statement["Resource"] == ["*"]:
            assert statement["Condition"] == {
                "StringEquals": {"redshift-data:statement-owner-iam-userid": {"Fn::Sub": "${!aws:userid}"}}
            }


def test_the_load_balancer_alone_reaches_the_dashboard_and_signs_viewers_in_first() -> None:
    found = dashboard()
    (ingress,) = found["TaskGroup"]["Properties"]["SecurityGroupIngress"]
    assert ingress["SourceSecurityGroupId"] == {"Fn::GetAtt": ["BalancerGroup", "GroupId"]}
    listener = found["Listener"]["Properties"]
    assert [action["Type"] for action in listener["DefaultActions"]] == ["authenticate-cognito", "forward"]
    assert listener["Protocol"] == "HTTPS"
    (container,) = found["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    assert (container["ReadonlyRootFilesystem"], container["User"]) == (True, "10001:10001")
    assert f"USER {container['User']}" in container_file("dashboard-container")


def test_the_dashboards_environment_lets_nobody_in_without_a_token() -> None:
    found = dashboard(auth_tenant_claim="custom:tenant", auth_admin={"cognito:groups": "finops"})
    (container,) = found["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/web/50dc6c495c0c9188"
    stood_for = {"TOLLMETER_AUTH_ALB_ARN": arn, "TOLLMETER_AUTH_AUDIENCE": "client"}
    env: dict[str, Any] = {each["Name"]: each["Value"] for each in container["Environment"]} | stood_for
    env["TOLLMETER_AUTH_ISSUER"] = env["TOLLMETER_AUTH_ISSUER"]["Fn::Sub"]
    carried = Settings.load(env)
    assert sign_in_of(carried)
    assert (carried.auth_tenant_claim, carried.auth_admin) == ("custom:tenant", {"cognito:groups": "finops"})
    assert carried.lake_url == "s3://my-lake/lake"
    assert carried.dashboard_proxies == 1


def test_what_cannot_be_rendered_is_said() -> None:
    with pytest.raises(UnknownNameError, match="no sink named 's4'"):
        Deployment(settings("s4"))
    with pytest.raises(SettingError, match="raw_url"):
        Deployment(settings("s3", raw_url=""))
    with pytest.raises(SettingError, match="firehose_stream"):
        Deployment(settings("firehose", firehose_stream=""))
    with pytest.raises(UnknownNameError, match="did you mean ecs"):
        render("ec", "terraform", Deployment(settings("raw")))
    with pytest.raises(UnknownNameError, match="did you mean terraform"):
        render("ecs", "teraform", Deployment(settings("raw")))


def test_the_command_renders_and_refuses() -> None:
    command = [sys.executable, "-m", "tollmeter.cli.main", "deploy", "render"]
    asked = ["iam", "--bucket", "my-lake", "--sinks", "s3", "--format", "terraform"]
    done = subprocess.run([*command, *asked], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert 'resource "aws_iam_policy" "forwarder_policy"' in done.stdout
    done = subprocess.run([*command, "iam", "--sinks", "s3"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
