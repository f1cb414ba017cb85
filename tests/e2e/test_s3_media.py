"""Clips in a bucket: the page fetches them from S3 itself, by presigned URLs."""

import threading
from types import SimpleNamespace
from urllib.parse import urlsplit

import boto3  # noqa: TID251 (makes the bucket that the store is tried on)
import pytest
from moto.server import ThreadedMotoServer
from playwright.sync_api import expect
from sqlalchemy import select
from werkzeug.serving import make_server

from evaluation import schema
from evaluation.database import open_database
from evaluation.storage import open_store
from webapp import create_app

pytestmark = pytest.mark.browser


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    """A store in a bucket of an S3 API on this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
        "XDG_CACHE_HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="study-clips")
    store = open_store("s3://study-clips/media")
    yield store, client
    client.close()
    server.stop()


@pytest.fixture
def site(bucket, make_study):
    """The rating page of a study whose clips were put into the bucket."""
    store, client = bucket
    built = make_study()
    with open_database(built.url) as database, database.read() as session:
        for stimulus in session.scalars(select(schema.Stimulus)):
            store.put(stimulus.key, built.store.get(stimulus.key), stimulus.mime)
    app = create_app(built.url, store)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    client.put_bucket_cors(Bucket="study-clips", CORSConfiguration=store.cors_rule(url))
    yield SimpleNamespace(url=url, built=built)
    server.shutdown()
    thread.join()
    server.server_close()
    app.extensions["vgan_eval"].database.close()


def test_clips_are_fetched_from_the_bucket_and_nowhere_else(page, site, bucket, rater):
    fetched = []
    page.on("request", lambda request: fetched.append(request.url))
    one = rater(site)

    one.begin()
    one.wait_ready()

    clips = [url for url in fetched if "/study-clips/media/" in url]
    assert len(clips) >= 2
    assert {f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in clips} == {
        bucket[0].origin()
    }
    assert all("X-Amz-Signature=" in url for url in clips)
    assert not [url for url in fetched if url.startswith(f"{site.url}/media/")]
    before = page.locator("#count").inner_text()
    page.keyboard.press("KeyF")
    expect(page.locator("#count")).not_to_have_text(before)


def test_policy_of_the_page_names_the_bucket_and_no_other_site(page, site, bucket):
    reply = page.request.get(f"{site.url}/local")

    policy = reply.headers["content-security-policy"]
    assert f"connect-src 'self' {bucket[0].origin()};" in policy
