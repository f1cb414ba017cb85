"""Page tokens stand for one assignment until a time; completion codes never change."""

from datetime import UTC, datetime, timedelta

import pytest
from itsdangerous import URLSafeSerializer

from evaluation.errors import TokenError
from evaluation.sessions.tokens import PageToken, read_token, sign_token

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
TOKEN = PageToken(3, 17, 5, expires_at=NOW + timedelta(hours=1), nonce="5e" * 16)


def test_a_signed_token_reads_back_as_it_was():
    text = sign_token("secret", TOKEN)

    assert read_token("secret", text, NOW) == TOKEN


def test_a_token_of_a_session_from_before_there_were_nonces_reads_back_without_one():
    old = URLSafeSerializer("secret", salt="worker-page").dumps([3, 17, 5, 2_000_000_000])

    token = read_token("secret", old, NOW)

    assert (token.assignment, token.nonce) == (17, None)
    assert sign_token("secret", token) == old


def test_a_token_is_safe_in_a_url():
    assert set(sign_token("secret", TOKEN)) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
    )


@pytest.mark.parametrize("seconds", [0, 1, 86_400])
def test_a_token_is_refused_from_its_expiry_on(seconds):
    text = sign_token("secret", TOKEN)

    with pytest.raises(TokenError, match="expired"):
        read_token("secret", text, TOKEN.expires_at + timedelta(seconds=seconds))


def test_a_token_of_another_study_is_refused():
    with pytest.raises(TokenError, match="not valid"):
        read_token("other secret", sign_token("secret", TOKEN), NOW)


def test_every_changed_character_is_noticed():
    text = sign_token("secret", TOKEN)

    for position, old in enumerate(text[:-1]):  # the last digit of base64 has unused bits
        changed = text[:position] + ("A" if old != "A" else "B") + text[position + 1 :]
        with pytest.raises(TokenError):
            read_token("secret", changed, NOW)


@pytest.mark.parametrize("text", ["", ".", "nonsense", "a.b.c", "\x00", "é", "." * 5000])
def test_nonsense_is_a_token_error(text):
    with pytest.raises(TokenError):
        read_token("secret", text, NOW)


@pytest.mark.parametrize(
    "payload",
    [
        [3, 17, 5, 10**20],
        [3, 17, 5],
        [3, 17, 5, True],
        [3, 17, "5", 9],
        [3, 17, 5, 9, 6],
        [3, 17, 5, 9, "5e", "5e"],
        {"study": 3},
    ],
)
def test_a_signed_payload_that_is_no_page_token_is_refused(payload):
    text = URLSafeSerializer("secret", salt="worker-page").dumps(payload)

    with pytest.raises(TokenError, match="not valid"):
        read_token("secret", text, NOW)
