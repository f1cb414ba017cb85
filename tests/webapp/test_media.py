"""Serving clips: cached for ever, by parts, and only those of the study."""

import pytest
from sqlalchemy import select

from evaluation import schema
from webapp import create_app


def first_key(client):
    return min(client.built.pixels)


def test_a_clip_is_immutable_and_has_no_date(make_client):
    client = make_client()

    reply = client.get(f"/media/{first_key(client)}")

    assert reply.mimetype == "image/png"
    assert reply.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Last-Modified" not in reply.headers
    assert reply.headers["Accept-Ranges"] == "bytes"


def test_a_known_clip_is_not_sent_again(make_client):
    client = make_client()
    etag = client.get(f"/media/{first_key(client)}").headers["ETag"]

    again = client.get(f"/media/{first_key(client)}", headers={"If-None-Match": etag})

    assert (again.status_code, again.data) == (304, b"")


def test_a_range_is_sent_as_a_part(make_client):
    client = make_client()
    whole = client.get(f"/media/{first_key(client)}").data

    part = client.get(f"/media/{first_key(client)}", headers={"Range": "bytes=8-15"})

    assert (part.status_code, part.data) == (206, whole[8:16])
    assert part.headers["Content-Range"] == f"bytes 8-15/{len(whole)}"


@pytest.mark.parametrize("wanted", ["bytes=0-1,8-15", "items=0-1", "bytes=8-5", "bytes"])
def test_a_range_that_is_not_one_part_in_bytes_is_ignored(make_client, wanted):
    client = make_client()
    whole = client.get(f"/media/{first_key(client)}").data

    sent = client.get(f"/media/{first_key(client)}", headers={"Range": wanted})

    assert (sent.status_code, sent.data) == (200, whole)


def test_a_part_beyond_the_end_is_refused(make_client):
    client = make_client()

    sent = client.get(f"/media/{first_key(client)}", headers={"Range": "bytes=99999999-"})

    assert sent.status_code == 416


@pytest.mark.parametrize("key", ["0" * 64, "x" * 64, "..%2f..%2fetc%2fpasswd", "abc"])
def test_what_is_no_clip_is_not_found(make_client, key):
    assert make_client().get(f"/media/{key}").status_code == 404


def test_a_clip_whose_file_is_gone_is_not_found(make_client):
    client = make_client()
    (client.built.store.folder / first_key(client)).unlink()

    assert client.get(f"/media/{first_key(client)}").status_code == 404


def test_a_clip_is_found_as_soon_as_the_study_has_it(make_client):
    client = make_client()
    key = "a" * 64
    client.built.store.put(key, b"pixels", "image/png")
    before = client.get(f"/media/{key}")
    with client.application.extensions["vgan_eval"].database.write() as session:
        clip = session.scalars(select(schema.Clip.id)).first()
        session.add(
            schema.Stimulus(
                clip_id=clip, key=key, padded_bytes=6, mime="image/png", layout={"kind": "sprite"}
            )
        )

    assert before.status_code == 404
    assert client.get(f"/media/{key}").data == b"pixels"


def test_what_one_application_knows_another_asks_for(make_client):
    client = make_client()
    key = first_key(client)
    assert client.get(f"/media/{key}").status_code == 200
    database = client.application.extensions["vgan_eval"].database
    with database.write() as session:
        session.query(schema.Stimulus).delete()

    other = create_app(client.built.url, client.built.store)

    assert other.test_client().get(f"/media/{key}").status_code == 404
    other.extensions["vgan_eval"].database.close()
