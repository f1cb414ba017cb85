"""Where clips lie: a folder or an S3 bucket, the same behaviour at both."""

import os
import urllib.error
import urllib.request

import boto3  # noqa: TID251 (makes the bucket that the store is tried on)
import pytest
from botocore.stub import Stubber
from moto.server import ThreadedMotoServer

from evaluation.errors import EvaluationError, UsageError
from evaluation.files import write_atomic
from evaluation.storage import LocalStore, S3Store, open_store

KEY = "0a" * 32
BUCKET = "clips-of-a-test"


@pytest.fixture(scope="module")
def s3_endpoint():
    """A real S3 API on this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_endpoint, monkeypatch, tmp_path):
    """An empty private bucket, opened by name."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "XDG_CACHE_HOME": str(tmp_path),
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    client.create_bucket(Bucket=BUCKET)
    yield open_store(f"s3://{BUCKET}/study")
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=item["Key"])
    client.delete_bucket(Bucket=BUCKET)
    client.close()


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path):
    if request.param == "folder":
        return open_store(str(tmp_path / "media"))
    return request.getfixturevalue("s3")


def test_what_is_put_comes_back(store):
    assert not store.exists(KEY)

    store.put(KEY, b"pixels", "image/png")

    assert store.exists(KEY)
    assert store.get(KEY) == b"pixels"


def test_putting_again_replaces(store):
    store.put(KEY, b"first", "image/png")
    store.put(KEY, b"second", "image/png")

    assert store.get(KEY) == b"second"


def test_a_missing_clip_is_an_error_in_one_line(store):
    with pytest.raises(EvaluationError, match="holds no") as caught:
        store.get(KEY)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["", "../../etc/passwd", "AB" * 32, "a" * 65, "real-beach", "0" * 8]
)
def test_a_key_that_is_not_opaque_is_refused(store, key):
    with pytest.raises(EvaluationError, match="not a media key"):
        store.put(key, b"", "image/png")


def test_a_folder_is_served_by_the_app(tmp_path):
    store = LocalStore(tmp_path)

    assert (store.url(KEY), store.origin()) == (None, None)


def test_a_presigned_url_gives_the_clip_without_credentials(s3):
    s3.put(KEY, b"pixels", "image/png")

    with urllib.request.urlopen(s3.url(KEY)) as reply:
        assert reply.read() == b"pixels"
        assert reply.headers["Content-Type"] == "image/png"
        assert reply.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert s3.url(KEY).startswith(s3.origin() + "/")
    assert "X-Amz-Expires=86400" in s3.url(KEY)


def test_a_cdn_serves_the_bucket_under_its_own_address(s3):
    store = open_store(f"s3://{BUCKET}/study?base_url=https://cdn.example.org/")

    assert store.url(KEY) == f"https://cdn.example.org/study/{KEY}"
    assert store.origin() == "https://cdn.example.org"


def test_a_refused_call_names_bucket_and_reason(s3):
    store = S3Store("no-such-bucket")

    with pytest.raises(EvaluationError, match=r"s3://no-such-bucket: put_object .*NoSuchBucket"):
        store.put(KEY, b"", "image/png")


def test_credentials_that_may_not_are_told_what_they_must_be_allowed(s3):
    with Stubber(s3._client) as denying:
        denying.add_client_error("put_object", "AccessDenied", http_status_code=403)
        with pytest.raises(EvaluationError) as refused:
            s3.put(KEY, b"pixels", "image/png")

    assert str(refused.value) == (
        f"s3://{BUCKET}: put_object was refused (AccessDenied); see to the credentials, and let "
        "them s3:ListBucket on the bucket, and s3:GetObject and s3:PutObject on what is in it"
    )


def test_a_bucket_is_asked_for_before_there_is_anything_to_put(s3):
    s3.probe()

    with pytest.raises(EvaluationError, match="s3://no-such-bucket: no such bucket"):
        S3Store("no-such-bucket").probe()


def test_the_cors_rule_lets_only_the_page_read(s3):
    [rule] = s3.cors_rule("https://study.example.org")["CORSRules"]

    assert rule["AllowedOrigins"] == ["https://study.example.org"]
    assert rule["AllowedMethods"] == ["GET"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "is empty"),
        ("s3:///prefix", "names no bucket"),
        ("ftp://x/y", "s3://bucket/prefix"),
        ("s3://b/p?base_url=cdn.example", r"base_url=https://cdn\.example"),
        ("s3://b/p?base_url=https://a.example;script-src", r"base_url=https://cdn\.example"),
        ("s3://b/p?cdn=https://a.example", r"base_url=https://cdn\.example"),
    ],
)
def test_a_spec_of_no_store_is_refused(spec, words):
    with pytest.raises(UsageError, match=words):
        open_store(spec)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "Unable to locate credentials"),
        ({"AWS_PROFILE": "nobodys"}, r"profile \(nobodys\) could not be found"),
        ({"AWS_ACCESS_KEY_ID": "only"}, "missing: AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ENDPOINT_URL_S3": "no-url"}, "Invalid endpoint: no-url"),
    ],
)
def test_aws_settings_that_cannot_be_used_are_named_at_the_start(
    monkeypatch, tmp_path, variables, words
):
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers the credentials
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    nothing = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": str(tmp_path / "none"),
               "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}  # fmt: skip
    for name, value in {**nothing, **variables}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(UsageError, match=f"s3://bucket: .*{words}.*see to AWS_ACCESS"):
        open_store("s3://bucket/prefix").origin()


def test_half_made_files_of_two_buckets_are_kept_apart(s3):
    assert s3.scratch() != S3Store(BUCKET).scratch()


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    path = tmp_path / "clip"
    path.write_bytes(b"whole")

    def full(self, data):
        with open(self, "wb") as file:
            file.write(data[:2])
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)

    with pytest.raises(EvaluationError, match=r"No space left on device.*free space"):
        write_atomic(path, b"newer and longer")

    assert [p.name for p in tmp_path.iterdir()] == ["clip"]
    assert path.read_bytes() == b"whole"


def test_two_that_write_one_file_do_not_meet(tmp_path, monkeypatch):
    used = []

    def remember(self, data):
        used.append(self.name)
        self.touch()

    monkeypatch.setattr("pathlib.Path.write_bytes", remember)
    for _ in range(2):
        write_atomic(tmp_path / "clip", b"")

    assert len(set(used)) == 2


def test_clips_that_another_user_made_and_nobody_else_may_read_are_told_of(tmp_path, monkeypatch):
    store, other = LocalStore(tmp_path / "media"), KEY[::-1]
    for key in (KEY, other):
        store.put(key, b"clip", "image/png")
    store.check_holds([KEY, other])
    # Root, who may run the tests, may read everything.
    monkeypatch.setattr("os.access", lambda path, _mode: path.name != other)

    store.check_holds([KEY])
    with pytest.raises(EvaluationError, match="1 of the study's 2 encoded clips cannot be read by"):
        store.check_holds([KEY, other])


def test_a_folder_of_clips_that_cannot_be_listed_is_not_called_empty(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(path)

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)

    with pytest.raises(EvaluationError, match="1 of the study's 1 encoded clips cannot be read by"):
        LocalStore(tmp_path).check_holds([KEY])


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(EvaluationError, match="cannot be written"):
        LocalStore(tmp_path / "file").put(KEY, b"", "image/png")
