"""Settings: which source wins, and what is said of a wrong value."""

import pytest

from monitor.contract.verdicts import UsageError
from monitor.settings import Settings, load


def test_defaults_are_what_the_documentation_promises():
    settings, check = load([], {})
    assert settings == Settings()
    assert not check
    assert (settings.port, settings.requests_per_window, settings.connections_per_address) == (
        4001,
        100,
        10,
    )


def test_flags_win_over_the_environment_over_the_file_over_defaults(tmp_path):
    file = tmp_path / "monitor.toml"
    file.write_text('port = 1\nlog_bytes = 2000000\nhost = "127.0.0.1"\nallow_origin = []\n')
    environment = {"WSPROOF_CONFIG": str(file), "WSPROOF_PORT": "2", "WSPROOF_LOG_BYTES": "3000000"}
    settings, _ = load(["--port", "3", "--check"], environment)
    assert (settings.port, settings.log_bytes, settings.host) == (3, 3_000_000, "127.0.0.1")


def test_lists_are_repeated_flags_or_comma_separated_in_the_environment():
    flags = ["--allow-origin", "https://a.example", "--allow-origin", "https://b.example"]
    assert load(flags, {})[0].allow_origin == ("https://a.example", "https://b.example")
    environment = {"WSPROOF_TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1"}
    assert load([], environment)[0].trusted_proxies == ("10.0.0.0/8", "192.0.2.1")


@pytest.mark.parametrize(
    ("flags", "environment", "file", "said"),
    [
        (["--port", "70000"], {}, "", ["--port", "65535"]),
        (["--window-s", "soon"], {}, "", ["--window-s", "soon"]),
        (["--handshake-timeout-s", "inf"], {}, "", ["--handshake-timeout-s", "inf"]),
        (["--idle-timeout-s", "nan"], {}, "", ["--idle-timeout-s", "nan"]),
        (["--prot", "3"], {}, "", ["--prot", "did you mean --port?"]),
        (["--prot=3"], {}, "", ["--prot: ", "did you mean --port?"]),
        (["port"], {}, "", ["argument port", "did you mean --port?"]),
        (["--qq"], {}, "", ["--qq", "--help"]),
        ([], {"WSPROOF_STRIKES": "0"}, "", ["WSPROOF_STRIKES"]),
        ([], {"WSPROOF_PROT": "1"}, "", ["WSPROOF_PROT", "did you mean WSPROOF_PORT"]),
        ([], {"WSPROOF_QQ": "1"}, "", ["WSPROOF_QQ", "--help"]),
        ([], {"WSPROOF_PORT": "abc"}, "", ["WSPROOF_PORT: expected a whole number, got 'abc'"]),
        (["foo"], {}, "", ["argument foo: no flag of wsproof serve"]),
        (["--host", "999.1.1.1"], {}, "", ["expected a name or an address", "999.1.1.1"]),
        ([], {}, "prot = 1", ["prot", "did you mean `port`", "monitor.toml"]),
        ([], {}, 'port = "many"', ["monitor.toml", "port"]),
        ([], {}, "port = ", ["monitor.toml", "TOML"]),
        (["--allow-origin", "example.org"], {}, "", ["allow_origin", "https://example.org"]),
        (["--allow-origin", "https://[::1"], {}, "", ["flag --allow-origin", "https://[::1"]),
        (["--allow-origin", "HTTPS://a.example"], {}, "", ["in lower case", "HTTPS://a.example"]),
        (["--allow-origin", "https://a.example/"], {}, "", ["nothing behind it"]),
        ([], {"WSPROOF_TRUSTED_PROXIES": "x"}, "", ["environment: WSPROOF_TRUSTED_PROXIES: key"]),
        ([], {}, 'host = "192.0.2.1"', ["monitor.toml: key `host`", "behind_proxy"]),
        (["--state="], {}, "", ["flag --state: key `state`: expected a path, got ''"]),
        ([], {}, 'state = "a\\u0000"', ["monitor.toml: key `state`: expected a path"]),
        (["--publish-events-per-s", "9" * 400], {}, "", ["flag --publish-events-per-s"]),
        (["--host", "192.0.2.1"], {}, "", ["192.0.2.1", "behind_proxy"]),
        (["--host", ""], {}, "", ["host"]),
        (["--tls-key", "k"], {}, "", ["tls_certificate"]),
    ],
)
def test_a_wrong_value_is_told_with_its_key_and_source(tmp_path, flags, environment, file, said):
    path = tmp_path / "monitor.toml"
    path.write_text(file)
    with pytest.raises(UsageError) as refused:
        load([*flags, "--config", str(path)], environment)
    for word in said:
        assert word in str(refused.value)


def test_variables_of_other_commands_are_left_to_them():
    others = {"WSPROOF_TOKEN": "x", "WSPROOF_MONITOR": "ws://h", "WSPROOF_SOAK_S": "5", "HOME": "/"}
    assert load([], others)[0] == Settings()


def test_a_missing_settings_file_is_told():
    with pytest.raises(UsageError, match=r"nowhere\.toml"):
        load(["--config", "nowhere.toml"], {})
    with pytest.raises(UsageError, match="expected a path"):
        load([], {"WSPROOF_CONFIG": ""})


def test_a_settings_file_may_begin_with_a_byte_order_mark_and_must_be_utf_8(tmp_path):
    path = tmp_path / "monitor.toml"
    path.write_bytes(b"\xef\xbb\xbfport = 3\n")
    assert load(["--config", str(path)], {})[0].port == 3
    path.write_bytes(b'host = "caf\xe9"\n')
    with pytest.raises(UsageError, match="not UTF-8: byte 0xe9 at 11; save it as UTF-8"):
        load(["--config", str(path)], {})


@pytest.mark.parametrize(
    "origin", ["https://a.example", "http://[::1]:8000", "http://127.0.0.1:1", "http://a_b-c.d"]
)
def test_an_origin_as_browsers_write_it_is_taken(origin):
    assert load(["--allow-origin", origin], {})[0].allow_origin == (origin,)
