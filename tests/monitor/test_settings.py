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
