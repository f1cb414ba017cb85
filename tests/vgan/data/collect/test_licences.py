"""Licences have one name each, whoever lists them."""

import pytest

from vgan.data.licences import licence_name, licence_numbers, licence_of_url, parse_licences
from vgan.errors import UsageError


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, "all-rights-reserved"),
        (1, "cc-by-nc-sa-2.0"),
        (4, "cc-by-2.0"),
        (6, "cc-by-nd-2.0"),
        (8, "united-states-government-work"),
        (9, "cc0-1.0"),
        (16, "cc-by-nc-nd-4.0"),
        (99, "flickr-99"),
    ],
)
def test_flickrs_numbers_have_names(number, name):
    assert licence_name(number) == name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://creativecommons.org/licenses/by-nc-nd/2.0/", "cc-by-nc-nd-2.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "cc0-1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "public-domain-mark-1.0"),
        ("", "unknown"),
    ],
)
def test_addresses_have_the_same_names(url, name):
    assert licence_of_url(url) == name


def test_a_family_is_all_its_versions_and_not_its_stricter_relatives():
    assert parse_licences("CC-BY") == {"cc-by-2.0", "cc-by-4.0"}
    assert parse_licences("cc-by-2.0, 9") == {"cc-by-2.0", "cc0-1.0"}
    assert licence_numbers(parse_licences("cc-by,cc0")) == [4, 9, 11]


@pytest.mark.parametrize("text", ["gpl", "17", "cc", ","])
def test_an_unknown_licence_is_refused(text):
    with pytest.raises(UsageError, match=r"no licence"):
        parse_licences(text)
