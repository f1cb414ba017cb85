"""The commands are a contract: each has help, each is in the docs, exit codes are what they say."""

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import evaluation.cli
import vgan.cli

ROOT = Path(__file__).parents[1]
PROGRAMS = [("vgan", vgan.cli.cli), ("vgan-eval", evaluation.cli.cli)]
COMMANDS = [
    pytest.param(program, name, command, id=f"{program} {name}")
    for program, group in PROGRAMS
    for name, command in sorted(group.commands.items())
]


@pytest.mark.parametrize(("program", "name", "command"), COMMANDS)
def test_every_command_says_what_it_does_and_what_its_options_mean(program, name, command):
    assert command.help
    assert [p.name for p in command.params if isinstance(p, click.Option) and p.help is None] == []


@pytest.mark.parametrize(("program", "name", "command"), COMMANDS)
def test_every_command_is_in_the_docs(program, name, command):
    assert f"\n## {program} {name}\n" in (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("program", "group"), PROGRAMS)
def test_help_of_every_command_exits_with_0(program, group):
    for name in group.commands:
        assert CliRunner().invoke(group, [name, "--help"]).exit_code == 0


@pytest.mark.parametrize("module", ["vgan.cli", "evaluation.cli"])
def test_a_checkout_that_is_not_installed_can_be_run(module):
    program = f"""
import importlib.metadata, runpy
importlib.metadata.Distribution.discover = lambda **_: iter(())
runpy.run_module("{module}", run_name="__main__")
"""
    command = [sys.executable, "-c", program, "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.stdout.endswith("version unknown (not installed)\n"), done.stderr


@pytest.mark.parametrize("main", [vgan.cli.main, evaluation.cli.main])
def test_an_unknown_option_is_wrong_usage(main, capsys):
    assert main(["--no-such-option"]) == 2
    assert "No such option" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["extend", "--hours", "nan"],
        ["forget", "--older-than", "nan"],
        ["forget", "--older-than", "1e300"],
        ["doctor", "http://localhost", "--timeout", "nan"],
        ["plan", "study.toml", "--difference", "nan"],
        ["plan", "study.toml", "--difference", "inf"],
    ],
)
def test_a_number_that_cannot_be_counted_with_is_wrong_usage(arguments, capsys):
    assert evaluation.cli.main(arguments) == 2
    assert f"Invalid value for '{arguments[-2]}'" in capsys.readouterr().err


def test_a_missing_study_file_is_one_line_and_exit_code_2(tmp_path, capsys):
    code = evaluation.cli.main(["init", str(tmp_path / "none.toml"), "--db", f"{tmp_path}/s.db"])

    assert code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "s.db").exists()


def test_a_study_that_cannot_be_made_leaves_no_database(study_toml, tmp_path, capsys):
    file = study_toml(extra="[workers]\nworkers = 1\n", clips=True)
    text = file.read_text().replace("[workers]\nsessions_per_worker = 2", "")
    file.write_text(text)

    code = evaluation.cli.main(["init", str(file), "--db", f"sqlite:///{tmp_path}/s.db"])

    assert code == 2
    assert "raise [workers] workers" in capsys.readouterr().err
    assert list(tmp_path.glob("s.db*")) == []


@pytest.mark.parametrize("command", ["rate", "simulate", "export"])
def test_a_missing_database_is_one_line_and_exit_code_1(command, tmp_path, capsys):
    arguments = [command, "--db", f"sqlite:///{tmp_path}/none.db"]

    code = evaluation.cli.main([*arguments, *(["--out", "x"] if command == "export" else [])])

    assert code == 1
    assert "none.db" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("command", ["rate", "serve"])
def test_a_database_copied_without_its_clips_is_not_served(
    command, study_toml, tmp_path, capsys, monkeypatch
):
    def listen(*_, **__):
        raise ConnectionError("somebody would be let in")

    monkeypatch.setattr("webapp.server.listen", listen)
    made, copied = tmp_path / "s.db", tmp_path / "elsewhere" / "s.db"
    assert evaluation.cli.main(["init", str(study_toml()), "--db", f"sqlite:///{made}"]) == 0
    copied.parent.mkdir()
    shutil.copy(made, copied)
    capsys.readouterr()

    there = evaluation.cli.main([command, "--db", f"sqlite:///{made}"])
    told = capsys.readouterr().err
    alone = evaluation.cli.main([command, "--db", f"sqlite:///{copied}"])
    refused = capsys.readouterr().err

    assert (there, told) == (1, "vgan-eval: somebody would be let in\n")
    assert alone == 1
    assert f"{copied.parent / 's.files' / 'media'}: " in refused
    assert "encoded clips are not in it" in refused
    assert refused.count("\n") == 1


@pytest.mark.parametrize("module", ["vgan.cli", "evaluation.cli"])
def test_help_imports_nothing_heavy(module):
    code = (
        f"import sys, {module} as m; m.main(['--help']); "
        "heavy = {'torch', 'cv2', 'sklearn', 'pandas', 'scipy', 'flask', 'boto3'}; "
        "heavy &= set(sys.modules); "
        "sys.exit(f'imports {heavy}' if heavy else 0)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.returncode == 0
