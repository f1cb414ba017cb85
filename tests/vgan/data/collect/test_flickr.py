"""Flickr's limits are kept, its moods outlasted, and its key kept to ourselves."""

import logging

import pytest

from vgan.data.flickr import FlickrApi, FlickrError, FlickrQuery, search_slices
from vgan.data.pacing import TokenBucket
from vgan.errors import UsageError

FIRST = 1_262_304_000
KEY = "k3y-of-the-test"
JANUARY = (FIRST, FIRST + 31 * 86_400 - 1)


def _query(tags=("beach",), match="any", licences=None, since=JANUARY[0], until=JANUARY[1]):
    return FlickrQuery(tags, match, licences, since, until)


def _found(api, query) -> list[str]:
    return [video.id for _, videos in search_slices(api, query) for video in videos]


def test_a_search_with_more_results_than_flickr_gives_finds_every_one_once(flickr, api):
    flickr.fill(9137, every_s=200)

    slices = list(search_slices(api(), _query()))

    found = [video.id for _, videos in slices for video in videos]
    assert found == [photo["id"] for photo in flickr.photos]
    assert max(len(videos) for _, videos in slices) <= 4000
    assert [until for until, _ in slices] == sorted(until for until, _ in slices)
    assert slices[-1][0] == JANUARY[1]
    assert max(int(call["page"]) for call in flickr.calls) <= 8


def test_both_ends_of_a_slice_count_and_no_video_is_in_two(flickr, api):
    wanted = [flickr.upload(second) for second in JANUARY]
    flickr.upload(JANUARY[0] - 1)
    flickr.upload(JANUARY[1] + 1)
    middle = sum(JANUARY) // 2
    flickr.fill(4001, every_s=1)  # so that January is cut
    wanted += [flickr.upload(middle), flickr.upload(middle + 1)]

    found = _found(api(), _query())

    assert len(found) == len(set(found)) == 4005
    assert set(wanted) <= set(found)


def test_one_second_with_too_many_videos_gives_the_first_4000_and_a_warning(flickr, api, caplog):
    flickr.fill(4100, every_s=0)

    with caplog.at_level(logging.WARNING):
        found = _found(api(), _query(until=FIRST + 3))

    assert len(found) == len(set(found)) == 4000
    assert "4100 videos uploaded in one second" in caplog.text


def test_licences_and_tags_are_asked_for_and_a_photo_that_slips_through_is_left_out(flickr, api):
    wanted = flickr.upload(FIRST, license="9", tags="sea sand")
    flickr.upload(FIRST, license="0", tags="sea sand")
    flickr.upload(FIRST, license="9", tags="sea")
    flickr.upload(FIRST, license="9", tags="sea sand", media="photo", slips=True)

    found = _found(api(), _query(("sea", "sand"), "all", ("cc0-1.0", "cc-by-2.0")))

    assert found == [wanted]
    assert flickr.calls[0]["license"] == "4,9"
    assert (flickr.calls[0]["media"], flickr.calls[0]["tag_mode"]) == ("videos", "all")


def test_a_video_has_whose_it_is_and_what_may_be_done_with_it(flickr, api):
    flickr.upload(FIRST + 61, license="15", owner="12@N03", tags="sea beach")

    ((_, (video,)),) = search_slices(api(), _query())

    assert video.url == f"https://www.flickr.com/photos/12@N03/{video.id}/"
    assert (video.licence, video.owner_name, video.tags) == (
        "cc-by-nc-sa-4.0", "Ada", ("beach", "sea"),
    )  # fmt: skip
    assert video.uploaded == "2010-01-01T00:01:01+00:00"
    assert video.taken == "2009-12-31T23:59:58"


@pytest.mark.parametrize(
    ("faults", "waits"),
    [
        ([(429, {"Retry-After": "7"}), (503, {})], [7, 2]),
        ([{"stat": "fail", "code": 105, "message": "Service currently unavailable"}], [1]),
        ([b"<html>maintenance</html>", b"[]"], [1, 2]),
        ([(429, {"Retry-After": "99999"})], [600]),
    ],
    ids=["too-many", "unavailable", "no-json", "long"],
)
def test_a_passing_failure_is_waited_out(flickr, api, clock, faults, waits):
    wanted = flickr.upload(FIRST)
    flickr.faults = list(faults)

    assert _found(api(), _query()) == [wanted]
    assert clock.slept == waits


def test_a_failure_that_stays_ends_the_search_after_six_tries(flickr, api, clock):
    flickr.faults = [(502, {})] * 6

    with pytest.raises(FlickrError, match=r"did not answer 6 times \(HTTP 502\).*run the same"):
        _found(api(), _query())

    assert clock.slept == [1, 2, 4, 8, 16]


def test_a_server_that_is_gone_ends_the_search(clock):
    bucket = TokenBucket(3600, clock=clock, sleep=clock.sleep)
    closed = FlickrApi(KEY, "http://127.0.0.1:9/", bucket, clock.sleep)

    with pytest.raises(FlickrError, match=r"no answer: .*refused"):
        _found(closed, _query())


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"stat": "fail", "code": 3, "message": "Too many tags"}, r"Too many tags \(code 3\)"),
        ({"stat": "ok"}, "not what its API promises"),
        ({"stat": "ok", "photos": {"total": 1, "pages": 1, "photo": [{}]}}, "not what its API"),
        ((403, {}), "HTTP 403"),
        ((302, {"Location": "http://127.0.0.1:9/elsewhere"}), "HTTP 302"),
    ],
    ids=["refused", "empty", "no-keys", "forbidden", "redirect"],
)
def test_what_will_not_pass_is_not_tried_again(flickr, api, fault, message):
    flickr.faults = [fault]

    with pytest.raises(FlickrError, match=message):
        _found(api(), _query())

    assert len(flickr.calls) == 1


def test_a_bad_key_is_named_by_its_variable_and_never_shown(flickr, api):
    with pytest.raises(FlickrError) as raised:
        _found(api("s3cret"), _query())

    assert "refuses the key in FLICKR_API_KEY: Invalid API Key (the key)" in str(raised.value)
    assert "s3cret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_the_key_is_in_no_address(flickr, api):
    _found(api(), _query())

    assert flickr.paths == ["/services/rest/"]
    assert flickr.calls[0]["api_key"] == KEY


@pytest.mark.parametrize("url", ["http://api.flickr.com/", "ftp://127.0.0.1/", "file:///etc"])
def test_the_key_is_not_sent_in_the_clear(url):
    with pytest.raises(UsageError, match="must be https"):
        FlickrApi(KEY, url)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"tags": ()}, "no tag"),
        ({"tags": tuple(map(str, range(21))), "match": "all"}, "at most 20 tags"),
        ({"since": JANUARY[1] + 1}, "later than"),
    ],
)
def test_a_query_that_flickr_cannot_answer_is_refused(asked, message):
    with pytest.raises(UsageError, match=message):
        _query(**asked)


def test_no_hour_has_more_calls_than_allowed(clock):
    bucket = TokenBucket(3600, burst=50, clock=clock, sleep=clock.sleep)
    taken = []
    for number in range(9000):
        if number == 4000:
            clock.now += 500  # a pause fills the burst again
        bucket.take()
        taken.append(clock.now)

    # The 3,601st call after any call comes an hour later, or more.
    gaps = [later - earlier for earlier, later in zip(taken, taken[3600:], strict=False)]
    assert min(gaps) >= 3600 - 1e-6
    assert taken[49] == 0  # the burst does not wait
    assert taken[-1] < 9000 / 3500 * 3600 + 500
