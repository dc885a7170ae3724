import base64
import json
import time
import unicodedata
from collections.abc import Callable
from types import MappingProxyType
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.keys import Key, KeyTable
from monitor.redaction import Redactor, neutralise, redact
from monitor.tokens import Scope, issue

KEYS = KeyTable(MappingProxyType({"k": Key("k", bytes(range(32)))}), "k")
OWN_TOKEN, _ = issue(KEYS, "alice", {Scope.ADMIN}, 3_600, 1_700_000_000.0)
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA1\nq83vEjRWeJC\n-----END RSA PRIVATE KEY-----"
)

# (sensitive part, text it stands in, text expected)
CASES = [
    (OWN_TOKEN, f"connected with {OWN_TOKEN}.", "connected with [redacted:jwt]."),
    (OWN_TOKEN, f"ws://h/?token={OWN_TOKEN}&x=1", "ws://h/?token=[redacted:jwt]&x=1"),
    (OWN_TOKEN[:60], f"cut {OWN_TOKEN[:60]}", "cut [redacted:jwt]"),
    ("AKIAIOSFODNN7EXAMPLE", "id AKIAIOSFODNN7EXAMPLE", "id [redacted:api-key]"),
    ("ghp_" + "a1B2" * 9, "x ghp_" + "a1B2" * 9 + " y", "x [redacted:api-key] y"),
    ("github_pat_" + "a1_2" * 9, "github_pat_" + "a1_2" * 9, "[redacted:api-key]"),
    ("glpat-" + "a1-2" * 5, "glpat-" + "a1-2" * 5, "[redacted:api-key]"),
    ("xoxb-123456789012-abcdef", "xoxb-123456789012-abcdef!", "[redacted:api-key]!"),
    ("AIza" + "Sy_9" * 9, "AIza" + "Sy_9" * 9, "[redacted:api-key]"),
    ("sk-proj-abc123DEF456ghi789", "(sk-proj-abc123DEF456ghi789)", "([redacted:api-key])"),
    ("sk_live_abcDEF123456", "sk_live_abcDEF123456", "[redacted:api-key]"),
    ("hunter2", "password=hunter2", "password=[redacted:credential]"),
    ("hunter2", "DB_PASSWORD: hunter2, ok", "DB_PASSWORD: [redacted:credential], ok"),
    ("hunter2", "passwd => 'hunter2 x'", "passwd => [redacted:credential]"),
    ("b c", '{"secret": "b c", "n": 1}', '{"secret": [redacted:credential], "n": 1}'),
    ("b c", r"{\"api_key\":\"b c\"}", r"{\"api_key\":[redacted:credential]}"),
    ("wJalr", "AWS_SECRET_ACCESS_KEY=wJalr", "AWS_SECRET_ACCESS_KEY=[redacted:credential]"),
    ("abc", "/x?access_token=abc&y=2", "/x?access_token=[redacted:credential]&y=2"),
    ("abc", "Cookie: abc; b", "Cookie: [redacted:credential]; b"),
    ("abcd", "Authorization: Bearer abcd", "Authorization: [redacted:credential]"),
    ("a1b2c3", "sent bearer a1b2c3", "sent bearer [redacted:credential]"),
    ("dTpw", "got Basic dTpw from", "got Basic [redacted:credential] from"),
    ("u:p", "postgres://u:p@db:5432/x", "postgres://[redacted:url-credential]@db:5432/x"),
    ("p@ss", "redis://:p@ss@cache/0", "redis://[redacted:url-credential]@cache/0"),
    ("ghx", "https://ghx@example.org/r", "https://[redacted:url-credential]@example.org/r"),
    ("MIIEow", f"key: {PEM} end", "key: [redacted:private-key] end"),
    ("MIIEow", PEM[:60], "[redacted:private-key]"),
    ("ann.o@example.co.uk", "by ann.o@example.co.uk.", "by [redacted:email]."),
    ("zoë", "to <zoë@müller.example>", "to <[redacted:email]>"),
    ("ann", "/home/ann/book/a.md", "[redacted:home]/book/a.md"),
    ("ann", "file:///Users/ann/a.md", "file://[redacted:home]/a.md"),
    ("ann", r"C:\Users\ann\a.md", r"[redacted:home]\a.md"),
    ("Ann Lee", r"C:\\Users\\Ann Lee\\a.md", r"[redacted:home]\\a.md"),
    ("ann", "/mnt/c/Users/ann/a.md", "[redacted:home]/a.md"),
    ("ann", "/export/home/ann/a.md", "[redacted:home]/a.md"),
    ("ann", r"see \\srv\Users\ann\a.md", r"see [redacted:home]\a.md"),
    (
        "hunter2",
        "psql --password hunter2 --user x",
        "psql --password [redacted:credential] --user x",
    ),
    ("hunter2", "--db-password 'hunter2 x' y", "--db-password [redacted:credential] y"),
    ("hunter2", "mysql -p'hunter2' x", "mysql -p[redacted:credential] x"),
    ("hunter2", "the password is hunter2", "the password is [redacted:credential]"),
    ("a1b2c3", "token was a1b2c3d4.", "token was [redacted:credential]"),
    (
        "T0A1",
        "https://hooks.slack.com/services/T0A1/B0A1/XXXXYYYYZZZZ1234",
        "https://hooks.slack.com/[redacted:api-key]",
    ),
    ("SG.", "x SG." + "a1B2" * 6 + "." + "c3D4" * 10 + " y", "x [redacted:api-key] y"),
    (
        "a1+b",
        "AccountName=x;AccountKey=a1+b2==;E=1",
        "AccountName=x;AccountKey=[redacted:credential];E=1",
    ),
    ("dop_v1_", "dop_v1_" + "a1b2" * 16, "[redacted:api-key]"),
    ("alice", r"c:\users\alice.smith\draft.md", r"[redacted:home]\draft.md"),
    ("BOB", r"D:\USERS\BOB\x", r"[redacted:home]\x"),
    ("bob", "D:/users/bob/x", "[redacted:home]/x"),
    ("alice", "/nfs/home/alice/draft", "[redacted:home]/draft"),
    ("alice", "/data/home/alice/draft", "[redacted:home]/draft"),
    ("al", "/cygdrive/c/Users/al/x", "[redacted:home]/x"),
    ("/root", "in /var/root/x", "in [redacted:home]/x"),
    ("s3cr3t", "https://bob:s3cr3t/x@host/", "https://[redacted:url-credential]@host/"),
    ("w0rd", "postgres://app:p@ss/w0rd@db/x", "postgres://[redacted:url-credential]@db/x"),
    (
        "0123abcd",
        'Authorization: Digest username="alice", realm="x y", response="0123abcd"; next',
        "Authorization: [redacted:credential]; next",
    ),
    ("Zx9", "dckr_pat_abcdefghijklmnopqrstuvZx9 x", "[redacted:api-key] x"),
    ("0af1", "shpat_" + "0af1" * 8 + " x", "[redacted:api-key] x"),
    ("q7Q", "whsec_abcdefghijklmnopqrstuvq7Q= x", "[redacted:api-key] x"),
    ("Kk3", "bot 123456789:AAHabcdefghijklmnopqrstuvwxyz12345Kk3 x", "bot [redacted:api-key] x"),
    ("QQ7", "AGE-SECRET-KEY-1" + "Q" * 55 + "QQ7", "[redacted:api-key]"),
    ("%2Bb", "a?sv=1&sig=abcdefghijklmnopqrst%2Bb%3D x", "a?sv=1&sig=[redacted:api-key] x"),
    ("/root", "cannot open /root/notes.md", "cannot open [redacted:home]/notes.md"),
]


@pytest.mark.parametrize(("secret", "text", "expected"), CASES)
def test_what_is_sensitive_gives_way_to_its_kind(secret: str, text: str, expected: str) -> None:
    assert secret in text
    assert secret not in expected
    assert redact(text) == (expected, 1)


@pytest.mark.parametrize("text", [expected for _, _, expected in CASES])
def test_redacting_again_changes_nothing(text: str) -> None:
    assert redact(text) == (text, 0)


CLEAN = [
    "",
    "writing chapter 7 of 12: sections outlined, links checked ok",
    "tokens: 4096 in, max_tokens=5000",
    "docs/chapters/01-introduction/overview.md",
    "docs/home/index.md and lib/root/x",
    "http://127.0.0.1:8080/page@v1 and http://host:80/a@b",
    "https://example.org/users/42 and GET /users/42",
    "/rootfs/etc and src/Users/x",
    "task-based-foo-bar-something-else",
    "actions/checkout@v4.1",
    "meet @alice at 12:00",
    "basic requirements, basic understanding",
    "bearer of good news",
    "the password is wrong; the token is required in chapter 2",
    "docker run -p 8080:80 -p '8080:80', mkdir -p build",
    "--password-file x --max-tokens 5 --token --verbose",
    "see https://hooks.slack.com/ for hooks",
    "keyboard: qwerty; monkey=3",
    "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "commit 2d1a6f0c33b0a3f1cbe1c1f5a9f0d0a2b7c8e9f1 of 100% done",
    "http://example.org/a/b?c=d",
    r"C:\Program Files\x",
    "aGVsbG8gd29ybGQsIGhvdyBhcmUgeW91",  # hello world, how are you
    "naïve café: 50 % – fertig ✓",
]


@pytest.mark.parametrize("text", CLEAN)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == (text, 0)


SECRETS = [
    "alice@example.com",
    "password=hunter2hunter2",
    "/home/alice/notes.txt",
    "postgres://user:pass@db/x",
    "AKIAIOSFODNN7EXAMPLE",
]


def json_escaped(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" if not c.isalnum() else c for c in text)


ENCODINGS: list[Callable[[str], str]] = [
    lambda text: quote(text, safe=""),
    lambda text: quote(quote(text, safe=""), safe=""),
    lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    json_escaped,
    lambda text: json.dumps(json_escaped(text)),
    lambda text: text.replace("/", "\\/"),
    lambda text: text.encode().hex(),
    lambda text: f"x{text.encode().hex().upper()}f",
    lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    lambda text: base64.b64encode(text.encode().hex().encode()).decode(),
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    lambda text: base64.b64encode(f"the log says: {text}, and so on".encode()).decode(),
    lambda text: "out/" + base64.b64encode(json.dumps({"about": text}).encode()).decode(),
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("encode", ENCODINGS)
def test_encodings_hide_nothing(secret: str, encode: Callable[[str], str]) -> None:
    text, count = redact(f"see {encode(secret)} there")
    assert count >= 1
    assert encode(secret) not in text
    assert "[redacted:" in text
    assert text.startswith("see ")
    assert text.endswith(" there")


def test_our_own_token_is_found_in_encodings_too() -> None:
    for encoded in (
        base64.b64encode(OWN_TOKEN.encode()).decode(),
        OWN_TOKEN.encode().hex(),
        OWN_TOKEN.replace(".", "%2E"),
    ):
        text, count = redact(encoded)
        assert count
        assert encoded not in text


def test_each_part_is_counted() -> None:
    text = "a@example.com, b@example.com and /home/ann with password=x"
    expected = "[redacted:email], [redacted:email] and [redacted:home] with password="
    assert redact(text) == (expected + "[redacted:credential]", 4)


@given(st.text(max_size=80), st.sampled_from(SECRETS), st.text(max_size=80))
def test_no_surrounding_text_breaks_it(before: str, secret: str, after: str) -> None:
    text, _ = redact(f"{before} {secret} {after}")
    assert secret not in text


@given(st.text(alphabet=st.characters(), max_size=200))
def test_any_text_is_taken_and_only_marks_are_added(text: str) -> None:
    redacted, count = redact(text)
    assert count == 0 or "[redacted:" in redacted
    if count == 0:
        assert redacted == text


WHOLE = [*SECRETS, OWN_TOKEN, "ghp_" + "a1B2" * 9, *(encode(SECRETS[1]) for encode in ENCODINGS)]


@pytest.mark.parametrize("around", ["", " ", "\n", "é", "\U0001f512", "\ud800", "\u00ff"])
def test_the_shortest_run_is_found_beside_any_character(around: str) -> None:
    run = base64.b64encode(b"password=x1y").decode()
    assert len(run) == 16
    assert redact(around + run + around) == (f"{around}[redacted:base64]{around}", 1)


@pytest.mark.parametrize("secret", WHOLE)
def test_a_secret_split_between_two_texts_never_comes_out_whole(secret: str) -> None:
    for cut in range(1, len(secret)):
        redactor = Redactor()
        first, _ = redactor.redact(f"it was {secret[:cut]}")
        second, _ = redactor.redact(f"{secret[cut:]} in the end")
        shown = first.removeprefix("it was ") + second.removesuffix(" in the end")
        assert secret not in shown
        assert "[redacted:" in shown
        assert second.endswith(" in the end")


def test_a_secret_in_three_pieces_is_held_back_at_the_last() -> None:
    redactor = Redactor()
    pieces = ["id AKIA", "IOSFODNN7", "EXAMPLE!"]
    assert [redactor.redact(piece) for piece in pieces] == [
        ("id AKIA", 0),
        ("IOSFODNN7", 0),
        ("[redacted:split]!", 1),
    ]


def test_texts_of_which_none_ends_in_a_secret_do_not_mix() -> None:
    redactor = Redactor()
    for text in [*CLEAN, *CLEAN, f"{OWN_TOKEN} was sent", "wrote section 12", "wrote section 13"]:
        assert redactor.redact(text) == redact(text)


PIECES = [
    *(
        "wrote section 12 of 40",
        "ok",
        "",
        "password",
        ": ",
        "hunter2",
        "C:",
        "\\Users\\al",
        "caf\u00e9",
    ),
    *(SECRETS[0][:9], SECRETS[0][9:], OWN_TOKEN[:50], OWN_TOKEN[50:], "id AKIA", "IOSFODNN7"),
    *("EXAMPLE!", "\x1b[2J", "\u202e", "a" * 15, "x " * 300, "pass\u212aey=", "\u03a3\u0130"),
]


@given(st.lists(st.lists(st.sampled_from(PIECES) | st.text(max_size=20), max_size=8), max_size=6))
def test_texts_looked_at_as_one_come_out_as_they_would_one_by_one(groups: list[list[str]]) -> None:
    together, singly = Redactor(), Redactor()
    for group in groups:
        expected = [neutralise(singly.redact(text)[0]) for text in group]
        if together.lets_pass(group):
            assert group == expected
        else:
            assert [neutralise(together.redact(text)[0]) for text in group] == expected
        assert together._tail == singly._tail


def test_clean_texts_pass_together_and_none_with_one_that_is_not() -> None:
    redactor = Redactor()
    assert redactor.lets_pass(["wrote section 12", "wrote section 13"] * 100)
    assert not redactor.lets_pass(["wrote section 12", "it was \x1b[2J"])
    assert not redactor.lets_pass(["wrote section 12", "AKIAIOSFODNN7", "EXAMPLE"])


def test_texts_do_not_pass_behind_half_a_secret() -> None:
    redactor = Redactor()
    assert redactor.lets_pass(["wrote section 12", "id AKIAIOSFODNN7"])
    assert not redactor.lets_pass(["EXAMPLE! it was", "wrote section 13"])
    assert redactor.redact("EXAMPLE! it was") == ("[redacted:split]! it was", 1)


def test_more_text_than_may_be_joined_is_looked_at_one_by_one() -> None:
    redactor = Redactor()
    assert redactor.lets_pass(["wrote it "] * 7_000)
    assert not redactor.lets_pass(["wrote it "] * 8_000)


@given(st.lists(st.text(max_size=20), max_size=60))
def test_what_is_remembered_of_a_publisher_is_bounded(texts: list[str]) -> None:
    redactor = Redactor()
    for text in texts * 40:
        redactor.redact(text)
    assert len(redactor._tail) < 600


HOSTILE = [
    "a", "a@", "@", "a.", "a-", "a@a.", "eyJ", "eyJ.", ".", "%", "%41", "%25", "\\", "\\u0041",
    "\\\\", '"', "'", "password=", 'password="', 'password:\\"', "secret ", "token= ", "basic ",
    "bearer ", "bearer a", "authorization: ", "authorization", "://", "a://", "://a", "://a:",
    "/home/", "/home/a", "/root", "C:\\Users\\", "C:\\Users\\a ", "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN ",
    "sk-", "sk-a", "ghp_", "ghp_a", "xoxb-", "AKIA", "AIza", "github_pat_", "pypi-", "cGFz", "YWJj",
    "[redacted:", " ", "\n", "passwordpassword", "keykey", "_", "=", "\u00e9", "1", "sk_live_",
]  # fmt: skip


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("end", ["", "@", "!", " x"])
def test_the_time_grows_no_faster_than_the_text(unit: str, end: str) -> None:
    """Eight times the text may take 24 times as long: quadratic would be 64."""

    def cost(length: int) -> float:
        text = (unit * length)[:length] + end
        times = []
        for _ in range(5):
            begun = time.process_time()
            redact(text)
            neutralise(text)
            times.append(time.process_time() - begun)
        return min(times)

    assert cost(64_000) <= 24 * max(cost(8_000), 1e-4)


# neutralise


@pytest.mark.parametrize("before", ["saved", "run 7", "disk", "é", "/srv/data"])
@pytest.mark.parametrize(
    "text", ["/home/maria/m/2.ckpt", "Bearer abcdefghijklmnop123456", "sk-" + "a1B2" * 10]
)
def test_a_secret_is_found_whatever_came_before_it(before: str, text: str) -> None:
    assert redact(text)[1] == 1
    redactor = Redactor()
    assert redactor.redact(before) == (before, 0)
    clean, found = redactor.redact(text)
    assert found >= 1
    assert "maria" not in clean
    assert text[-12:] not in clean or text.startswith("/home")
    assert not Redactor().lets_pass([before, text])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é ✓ 👩\u200d🔬", "plain é ✓ 👩\u200d🔬"),
        ("a\tb", "a b"),
        ("a\r\nINFO forged", "a␍␊INFO forged"),
        ("\x1b[31mred\x1b]0;title\x07", "␛[31mred␛]0;title␇"),
        ("\x00\x7f\x9b31m\x85", "␀␡\ufffd31m\ufffd"),
        ("a\u202egnp.exe\u2066\u200f", "a\ufffdgnp.exe\ufffd\ufffd"),
        ("a\u2028b\u2029c", "a\ufffdb\ufffdc"),
        ("\ud800x\udfff", "\ufffdx\ufffd"),
        ("\ufeffx\U000e0041", "\ufffdx\ufffd"),
    ],
)
def test_what_a_terminal_or_page_would_obey_becomes_visible(text: str, expected: str) -> None:
    assert neutralise(text) == expected


@given(st.text(alphabet=st.characters(), max_size=200))
def test_no_text_comes_out_with_a_control_in_it(text: str) -> None:
    safe = neutralise(text)
    assert len(safe) == len(text)
    assert not {unicodedata.category(character) for character in safe} & {"Cc", "Cs", "Zl", "Zp"}
    bidirectional = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    assert not {unicodedata.bidirectional(character) for character in safe} & bidirectional
    assert neutralise(safe) == safe
    safe.encode("utf-8")
