from datetime import UTC, datetime

import pytest

from evaluation.doctor.notes import sign_note
from evaluation.privacy.pseudonyms import unlinkable_pseudonym
from evaluation.schema import Environment, PaymentKind, Study
from evaluation.secret import (
    Signed,
    completion_code,
    hit_code,
    hit_token,
    join_key,
    link_key,
    media_key,
    page_key,
    payment_token,
    session_chance,
    settled_digest,
    signer,
    size_chance,
    unlinkable_key,
)
from evaluation.sessions.tokens import PageToken, sign_token

SECRET = "5e" * 32
HIT = "43ec6381c8af255b7d026e16e050123500510779"
AT = datetime.fromtimestamp(2_000_000_000, UTC)


@pytest.mark.parametrize(
    ("made", "known"),
    [
        (media_key(SECRET, "real/golf/a.mp4", 4096),
         "b9604212315d5750aa368726d6f2e1dfe841dcd63c7a16430f1bea479507aa7b"),
        (join_key(SECRET), "8e50805ed06d19989c60"),
        (link_key(SECRET, Environment.PRODUCTION), "c8e39f0467b46d6e981dec78"),
        (page_key(SECRET), "dc3c68eda97ff119ff40cce1"),
        (hit_token(SECRET, Environment.PRODUCTION, 3), HIT),
        (hit_code(SECRET, HIT, "completed"), "5ULDMSUO"),
        (payment_token(SECRET, PaymentKind.BONUS, 17, "Thank you."),
         "5f15dcc7bd103ef36a053c6376f77d718f5c4bd7"),
        (settled_digest(SECRET, "3ASSIGN", "A1ANN"), "b8b67c1296e15a05f05f12f690fea5a9f3a0dd60"),
        (completion_code(SECRET, 17, None), "4PMA3H7UBG"),
        (completion_code(SECRET, 17, "5f" * 16), "7FH6NTD6ZH"),
        (unlinkable_key(b"k" * 32, SECRET).hex(),
         "19c668aa1696bcaa1dc8a3127bd410fff76c9d3be8b970c94d372ef913c50f88"),
        (unlinkable_pseudonym(b"k" * 32, Study(secret=SECRET), "worker", "mturk", "sandbox", "A1"),
         "w-i6borsk4ikamhr4t"),
        (session_chance(SECRET, "mturk", "A1ANN", "3ASSIGN").random(), 0.9293726945474078),
        (session_chance("7", "simulated", "A1ANN", "3ASSIGN").random(), 0.5127937020683596),
        (size_chance(SECRET).random(), 0.8054962399061083),
        (sign_token(SECRET, PageToken(3, 17, 5, AT, "5f" * 16)),
         ".eJyLNtYxNNcx1TEygAEdJdM0_FApFgBhOg4P.bFKDcFUOqA5Vf3DwLKQkfA6HRoU"),
        (signer(SECRET, Signed.TICKET).dumps(["mturk", "A1ANN", "3ASSIGN", "", "", "", ""]),
         ".eJyLVsotKS3KVtJRcjR09PMD0saOwcGe7iAWAsUCAM1rCRc.bDMdnHUuDORxsXWgYuHumeVQq4o"),
        (sign_note(SECRET, AT), "MjAwMDAwMDAwMA.l4uAT0C9K5lxXgOvy7dwSjJX7ug"),
    ],
)  # fmt: skip
def test_what_stands_in_links_ledgers_and_exports_comes_out_the_same_for_ever(made, known):
    assert made == known


def test_completion_codes_repeat_and_differ_between_assignments_and_studies():
    codes = {completion_code(secret, n, None) for secret in ("a", "b") for n in range(500)}

    assert completion_code("a", 7, None) == "OCHNBR6WEF"
    assert len(codes) == 1000
    assert all(len(code) == 10 and not set(code) & set("018") for code in codes)


def test_two_sessions_that_have_one_id_in_turn_have_different_completion_codes():
    codes = {completion_code("a", 7, nonce) for nonce in (None, "5e" * 16, "5f" * 16)}

    assert len(codes) == 3
    assert completion_code("a", 8, "5e" * 16) in codes


def test_media_keys_depend_on_secret_clip_and_size_and_say_nothing():
    keys = {media_key(s, c, n) for s in ("s1", "s2") for c in ("real/a", "vgan/a") for n in (1, 2)}

    assert len(keys) == 8
    assert all(len(key) == 64 and set(key) <= set("0123456789abcdef") for key in keys)
    assert media_key("s1", "real/a", 1) == media_key("s1", "real/a", 1)
