"""Scripts and styles: cached for ever under a name of their content, and asked for at once."""

import re
from pathlib import Path

import webapp

MODULES = Path(webapp.__file__).parent / "static" / "rating"


def page_of(client):
    return client.get("/local", follow_redirects=True).text


def imported(name):
    """Return a module of the page and all that it imports, also through others."""
    found = {name}
    for other in re.findall(r"from '\./([\w.]+)';", (MODULES / name).read_text()):
        found |= imported(other)
    return found


def test_the_page_asks_for_all_its_modules_before_it_reads_the_first(make_client):
    page = page_of(make_client())

    preloaded = re.findall(r'<link rel="modulepreload" href="/static/\w+/rating/(\S+)">', page)

    assert len(imported("app.js")) > 5
    assert sorted([*preloaded, "app.js"]) == sorted(imported("app.js"))


def test_a_script_is_cached_for_ever_under_the_version_of_all_of_them(make_client):
    client = make_client()
    address = re.search(r'src="(/static/[0-9a-f]{12}/rating/app\.js)"', page_of(client))[1]

    with client.get(address) as reply:  # closes the file
        assert (reply.status_code, reply.mimetype) == (200, "text/javascript")
        assert reply.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_a_script_of_another_version_is_not_there_and_not_remembered(make_client):
    reply = make_client().get("/static/000000000000/rating/app.js")

    assert reply.status_code == 404
    assert reply.headers["Cache-Control"] == "no-store"


def test_a_missing_script_is_not_remembered(make_client):
    client = make_client()
    version = re.search(r"/static/(\w+)/", page_of(client))[1]

    reply = client.get(f"/static/{version}/rating/missing.js")

    assert reply.status_code == 404
    assert reply.headers["Cache-Control"] == "no-store"
