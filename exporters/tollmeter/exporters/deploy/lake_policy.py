"""What whoever reads the lake may do, and nothing else: the actions an engine calls, on the lake's own resources.

Which actions know resources: https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

from __future__ import annotations

from typing import Final

from tollmeter.exporters.deploy.options import Deployment
from tollmeter.exporters.deploy.policy import Statement, allow, with_key
from tollmeter.exporters.sinks.s3 import parse_url
from tollmeter.model.errors import SettingError

_ARN: Final = "arn:${AWS::Partition}"
_HERE: Final = "${AWS::Region}:${AWS::AccountId}"
_DATA_API: Final = "redshift-data"
_DRIVER: Final = "redshift"


def statements(deployment: Deployment) -> list[Statement]:
    """The statements of the engine that the settings choose; the catalog is looked at by each, for what is new.

    Raises:
        SettingError: the lake is on no bucket, or Redshift is meant and neither workgroup nor cluster is named.
    """
    found = _read_lake(deployment)
    engine = deployment.settings.engine
    if engine == _DATA_API:
        found += _data_api(deployment)
    if engine in (_DATA_API, _DRIVER):
        found += _credentials(deployment)
    return found


def _read_lake(deployment: Deployment) -> list[Statement]:
    name, prefix = parse_url(deployment.lake_url)
    bucket, glue = f"{_ARN}:s3:::{name}", f"{_ARN}:glue:{_HERE}"
    database = deployment.settings.glue_database
    tables = [f"{glue}:catalog", f"{glue}:database/{database}", f"{glue}:table/{database}/*"]
    return [
        allow("ReadLake", ["s3:GetObject"], [f"{bucket}/{prefix}*"]),
        # Without it S3 answers a look for what is not there with 403, not 404.
        allow("TellMissingFromForbidden", ["s3:ListBucket"], [bucket]),
        *with_key(deployment.settings.kms_key, "DecryptLake", ["kms:Decrypt"]),
        allow("ReadCatalog", ["glue:GetDatabase", "glue:GetTable", "glue:GetTables"], tables),
    ]


def _data_api(deployment: Deployment) -> list[Statement]:
    own = {"StringEquals": {"redshift-data:statement-owner-iam-userid": "${!aws:userid}"}}
    followed = ["redshift-data:DescribeStatement", "redshift-data:GetStatementResult", "redshift-data:CancelStatement"]
    return [
        allow("AskRedshift", ["redshift-data:ExecuteStatement"], [_warehouse(deployment)]),
        # They know no resources, but whose statement it is.
        allow("FollowOwnStatements", followed, ["*"], **own),
    ]


def _credentials(deployment: Deployment) -> list[Statement]:
    settings = deployment.settings
    if settings.redshift_workgroup:
        actions = ["redshift-serverless:GetCredentials", "redshift-serverless:GetWorkgroup"]
        return [allow("SignInToRedshift", actions, [_warehouse(deployment)])]
    cluster, redshift = settings.redshift_cluster, f"{_ARN}:redshift:{_HERE}"
    user = f"{redshift}:dbuser:{cluster}/{settings.redshift_user or '*'}"
    database = f"{redshift}:dbname:{cluster}/{settings.redshift_database}"
    return [
        allow("SignInToRedshift", ["redshift:GetClusterCredentials"], [user, database]),
        allow("FindCluster", ["redshift:DescribeClusters"], [_warehouse(deployment)]),
    ]


def _warehouse(deployment: Deployment) -> str:
    """The workgroup or cluster; a workgroup's ARN has an id of its own, which its name does not tell."""
    settings = deployment.settings
    if settings.redshift_workgroup:
        return f"{_ARN}:redshift-serverless:{_HERE}:workgroup/*"
    if settings.redshift_cluster:
        return f"{_ARN}:redshift:{_HERE}:cluster:{settings.redshift_cluster}"
    raise SettingError("redshift_workgroup", "", "the name of a workgroup, or redshift_cluster that of a cluster")
