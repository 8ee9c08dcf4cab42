"""The IAM policy against the S3 calls that the storage package makes: all of its rights are needed, and no other.

Knows no Amazon: which right a call needs is written down here, from the S3 documentation.
"""

import ast
import json
import re
from typing import Any

from tests.infra.manifests import INFRA, ROOT

STORAGE = ROOT / "deblur_core" / "storage"

ACTIONS = {
    "list_objects_v2": {"s3:ListBucket"},
    "head_bucket": {"s3:ListBucket"},
    "head_object": {"s3:GetObject", "s3:ListBucket"},
    "get_object": {"s3:GetObject"},
    "put_object": {"s3:PutObject"},
    "copy_object": {"s3:GetObject", "s3:GetObjectTagging", "s3:PutObject", "s3:PutObjectTagging"},
    "delete_object": {"s3:DeleteObject"},
    "delete_objects": {"s3:DeleteObject"},
    "list_multipart_uploads": {"s3:ListBucketMultipartUploads"},
    "abort_multipart_upload": {"s3:AbortMultipartUpload"},
    # Of boto3's transfer manager.
    "upload": {"s3:PutObject", "s3:AbortMultipartUpload"},
    "download": {"s3:GetObject"},
    "copy": {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"},
}


def _statements() -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads((INFRA / "aws/iam-policy.json").read_text())["Statement"]
    return statements


def _several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _storage_calls() -> set[str]:
    """The S3 operations that the storage package names: client methods, transfers, and operations given as text."""
    from botocore import xform_name
    from botocore.session import get_session

    known = {xform_name(name) for name in get_session().get_service_model("s3").operation_names}
    found: set[str] = set()
    for path in STORAGE.glob("s3*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                transfer = isinstance(node.value, ast.Name) and node.value.id == "transfers"
                if node.attr in known or transfer:
                    found.add(node.attr)
            elif isinstance(node, ast.Constant) and node.value in known:
                found.add(str(node.value))
    return found


def test_the_policy_allows_exactly_what_the_storage_package_calls() -> None:
    calls = _storage_calls()
    assert calls - ACTIONS.keys() == set(), "say in ACTIONS which rights these S3 calls need"
    needed = {action for call in calls for action in ACTIONS[call]}
    allowed = {action for statement in _statements() for action in _several(statement["Action"])}
    assert needed == allowed


def test_the_policy_has_no_wildcard_but_below_a_prefix() -> None:
    for statement in _statements():
        assert not any("*" in action for action in _several(statement["Action"]))
        for resource in _several(statement["Resource"]):
            bucket, _, keys = resource.removeprefix("arn:aws:s3:::").partition("/")
            assert "*" not in bucket
            assert keys == "" or re.fullmatch(r"(SOURCE|DESTINATION)-PREFIX/(_restore/)?\*", keys)


def test_the_policy_writes_only_to_the_destination_and_deletes_only_a_runs_own_state() -> None:
    for statement in _statements():
        for action in _several(statement["Action"]):
            if re.match(r"s3:(Put|Delete|Abort)", action):
                assert str(statement["Resource"]).startswith("arn:aws:s3:::DESTINATION-BUCKET/")
            if action.startswith("s3:Delete"):
                assert str(statement["Resource"]).endswith("/_restore/*")


def test_an_absent_object_is_told_from_a_forbidden_one() -> None:
    """S3 says 404 only to who may list the bucket, and asks that without a prefix: see the README."""
    listing = [statement for statement in _statements() if statement["Action"] == "s3:ListBucket"]
    assert len(listing) == 2
    assert all(list(statement["Condition"]) == ["StringLikeIfExists"] for statement in listing)


def test_the_readme_explains_every_statement_of_the_policy() -> None:
    readme = (INFRA / "README.md").read_text()
    assert [s["Sid"] for s in _statements() if f"| `{s['Sid']}` |" not in readme] == []
