import re
from typing import Literal

import msgspec
import pytest

from monitor.contract.documents import convert, read_toml
from monitor.contract.verdicts import UsageError


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    timeout_s: float = 1.0
    retries: int = 0


class Outer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = {}
    maybe: Inner | None = None
    word: Literal["apple", "pear"] = "pear"
    words: dict[Literal["first", "second"], Inner] = {}


class Secret(msgspec.Struct, frozen=True):
    tokens: int = 0
    name: str = ""
    count: int = 0
    signing_key: Outer | None = None


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"name": "a", "inmer": {}}, "unknown key `inmer`; did you mean `inner`?"),
        (
            {"name": "a", "inner": {"timeout": 1}},
            "unknown key `inner.timeout`; did you mean `timeout_s`?",
        ),
        (
            {"name": "a", "many": [{}, {"retry": 1}]},
            "unknown key `many[1].retry`; did you mean `retries`?",
        ),
        (
            {"name": "a", "named": {"x": {"retrise": 1}}},
            "unknown key `named.x.retrise`; did you mean `retries`?",
        ),
        (
            {"name": "a", "maybe": {"retrise": 1}},
            "unknown key `maybe.retrise`; did you mean `retries`?",
        ),
        (
            {"name": "a", "inner": {"qqqq": 1}},
            "unknown key `inner.qqqq`; known here: retries, timeout_s",
        ),
        ({"name": 1}, "key `name`: Expected `str`, got `int`"),
        (
            {"name": "a", "inner": {"retries": "2"}},
            "key `inner.retries`: Expected `int`, got `str`; it says '2'",
        ),
        (
            {"name": "a", "many": [{}, {"timeout_s": "1 s"}]},
            "key `many[1].timeout_s`: Expected `float`, got `str`; it says '1 s'",
        ),
        ({"name": "a", "word": "appel"}, "Invalid enum value 'appel'; did you mean `apple`?"),
        ({"name": "a", "word": "x"}, "Invalid enum value 'x'; known here: apple, pear"),
        ({"name": "a", "words": {"frist": {}}}, "key `words`: Invalid enum value 'frist'; did you"),
        ({}, "key `name`: missing; required here: name"),
        ({"name": "a", "named": 1}, "key `named`: Expected `table`, got `int`; it says 1"),
        (
            {"name": "a", "named": {"x": {}, "y.z": {"retries": True}}},
            "key `named.y.z.retries`: Expected `int`, got `bool`; it says true",
        ),
    ],
)
def test_a_mistake_is_named_with_its_key_and_a_suggestion(table, says):
    with pytest.raises(UsageError, match="^profile x.toml: .*" + re.escape(says)):
        convert(table, Outer, "profile x.toml")


def test_what_may_be_a_secret_and_what_is_long_is_not_repeated():
    for table in ({"tokens": "s3cret"}, {"name": ["s3cret"]}, {"signing_key": {"name": 5}}):
        with pytest.raises(UsageError) as told:
            convert(table, Secret, "profile x.toml")
        assert "it says" not in str(told.value)
    with pytest.raises(UsageError) as told:
        convert({"count": "x" * 100}, Secret, "profile x.toml")
    assert "xxx" not in str(told.value)


def test_a_right_document_becomes_the_struct():
    table = {"name": "a", "named": {"x": {"retries": 2}}}
    assert convert(table, Outer, "x") == Outer("a", named={"x": Inner(retries=2)})


def test_a_missing_file_says_to_check_the_path(tmp_path):
    with pytest.raises(UsageError, match=r"claims .*/no.toml: no such file; check the path"):
        read_toml(tmp_path / "no.toml", "claims")


def test_a_syntax_error_names_its_line(tmp_path):
    (tmp_path / "a.toml").write_text("a = 1\nb = = 2\n")
    with pytest.raises(UsageError, match=r"claims .*a.toml: not valid TOML: .*line 2"):
        read_toml(tmp_path / "a.toml", "claims")


def test_a_file_that_is_no_text_cannot_be_read(tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes(b"a = 1 \xff\xfe")
    with pytest.raises(UsageError, match=r"a\.toml: not UTF-8: byte 0xff at 6; save it as UTF-8"):
        read_toml(path, "claims")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_toml(tmp_path, "claims")
