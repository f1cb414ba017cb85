"""The deployment recipe: its files agree with each other, and what it backs up can be restored."""

import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from sqlalchemy import func, make_url, select

import evaluation.cli
from evaluation import schema
from evaluation.database import create_database, open_database
from evaluation.freeze import init_study
from evaluation.storage import LocalStore
from evaluation.study_file.reader import load_study

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
SECRETS = ("POSTGRES_PASSWORD", "VGAN_EVAL_PSEUDONYM_KEY", "VGAN_EVAL_DASHBOARD_TOKEN")


def read(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def services() -> dict:
    return yaml.safe_load(read("compose.yaml"))["services"]


def example_variables() -> dict[str, str]:
    """Every variable of .env.example, those in comments too."""
    return dict(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=(.*)$", read(".env.example"), re.M))


def test_every_variable_of_the_compose_file_is_in_the_example():
    used = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", read("compose.yaml")))

    assert used == {"SITE_HOST", "ACME_EMAIL", "BACKUP_KEEP_DAYS", *SECRETS}
    assert used <= set(example_variables())


def test_every_variable_of_the_proxy_is_given_to_it(services):
    used = set(re.findall(r"\{\$([A-Z_]+)\}", read("Caddyfile")))

    assert used == set(services["proxy"]["environment"])


def test_secrets_have_no_value_anywhere_and_no_default():
    for name in SECRETS:
        assert example_variables()[name] == ""
        assert set(re.findall(rf"\$\{{{name}(.)", read("compose.yaml"))) == {":"}
        assert f"${{{name}:?" in read("compose.yaml")
        assert f"${{{name}:-" not in read("compose.yaml")
        assert name not in read("Containerfile")


def test_the_example_names_only_variables_that_something_reads():
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "evaluation").rglob("*.py"))
    code += "".join(path.read_text(encoding="utf-8") for path in (ROOT / "webapp").glob("*.py"))
    unread = {
        name
        for name in example_variables()
        if name not in code and f"${{{name}" not in read("compose.yaml")
    }

    assert {name for name in unread if not name.startswith("AWS_")} == set()


def test_only_the_proxy_is_reached_from_outside(services):
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert services["database"]["networks"] == services["backup"]["networks"] == ["back"]
    assert yaml.safe_load(read("compose.yaml"))["networks"]["back"] == {"internal": True}
    assert services["app"]["environment"]["VGAN_EVAL_TRUSTED_PROXIES"] == "1"


def test_what_the_app_writes_lies_in_a_volume_that_it_may_write(services):
    app = services["app"]
    writable = [line.split(":")[1] for line in app["volumes"] if not line.endswith(":ro")]

    assert app["read_only"] is True
    for name in ("VGAN_EVAL_FILES", "XDG_CACHE_HOME"):
        assert app["environment"][name].startswith(tuple(writable))


def test_the_command_of_the_containers_is_one_that_exists(services):
    command = services["app"]["command"]
    context = evaluation.cli.cli.commands[command[0]].make_context("serve", list(command[1:]))

    assert context.params["host"] == "0.0.0.0"
    assert context.params["dashboard"] is True


def test_the_served_study_is_named_by_the_environment(monkeypatch):
    monkeypatch.setenv("VGAN_EVAL_STUDY", "first")
    given = {"doctor": ["--url", "https://x.org"], "withdraw": ["worker"], "init": ["study.toml"]}
    named = {}
    for name in ("serve", "doctor", "init", "withdraw", "forget"):
        command = evaluation.cli.cli.commands[name]
        named[name] = command.make_context(name, given.get(name, [])).params["study"]

    # Without --study people are forgotten in every study of the database.
    assert named == {
        "serve": "first", "doctor": "first", "init": None, "withdraw": None, "forget": None
    }  # fmt: skip


def test_the_image_holds_no_secret_and_runs_as_nobody_special():
    text = read("Containerfile")
    users = re.findall(r"^USER (.+)$", text, re.M)

    assert users == ["vgan"]
    assert "HEALTHCHECK" in text
    assert read("Containerfile.dockerignore").splitlines()[1] == "*"


def test_the_image_is_built_from_everything_that_the_wheel_needs():
    import tomllib

    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    needed = {*build["targets"]["wheel"]["packages"], *build["targets"]["wheel"]["force-include"]}
    kept = {line[1:] for line in read("Containerfile.dockerignore").splitlines() if line[:1] == "!"}

    assert needed | {"pyproject.toml", "README.md", "LICENSE", "constraints.txt"} == kept


def test_the_proxy_adds_what_doctor_asks_for_and_compresses_nothing():
    rules = [line for line in read("Caddyfile").splitlines() if not line.startswith("#")]
    text = "\n".join(rules)

    assert text.count("{") == text.count("}") > 0
    assert 'Strict-Transport-Security "max-age=31536000"' in text
    assert re.search(r"max_size 256KB", text)
    assert re.search(r"reverse_proxy app:8000 \{\s+transport http \{[^}]+keepalive 20s", text)
    assert "lb_try_duration 10s" in text
    assert "encode" not in text
    assert "trusted_proxies" not in text


def test_the_proxy_writes_down_no_request():
    text = re.sub(r"^\s*#.*\n", "", read("Caddyfile"), flags=re.M)

    assert re.findall(r"\blog \{\s+(.+?)\s+\}", text) == [
        "exclude http.log.error http.handlers.reverse_proxy"
    ]


def test_nginx_does_what_the_proxy_of_the_recipe_does():
    text = re.sub(r"#.*", "", read("nginx.conf"))
    servers = text.split("server {")[1:]

    assert text.count("{") == text.count("}") == 3
    assert len(servers) == 2
    for server in servers:  # its error log has whole addresses, as its access log does
        assert "access_log off;" in server
        assert "error_log /dev/null;" in server
    for line in (
        'add_header Strict-Transport-Security "max-age=31536000" always;',
        "client_max_body_size 256k;",
        "gzip off;",
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "proxy_pass http://127.0.0.1:8000;",
    ):
        assert line in servers[1]


def test_the_unit_runs_the_documented_line_with_the_documented_settings():
    docs = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    unit = read("vgan-eval.service").replace("\\\n", " ")
    (typed,) = re.findall(r"^VGAN_EVAL_DB=.* gunicorn (.+)$", docs, re.M)
    (run,) = re.findall(r"^ExecStart=\S+/gunicorn (.+)$", unit, re.M)
    (settings,) = re.findall(r"^EnvironmentFile=(.+)$", unit, re.M)
    wsgi = (ROOT / "webapp" / "wsgi.py").read_text(encoding="utf-8")
    names = re.findall(r"^(VGAN_EVAL_[A-Z_]+)=\S+$", docs, re.M)

    assert [word for word in shlex.split(run) if word != "--no-control-socket"] == shlex.split(
        typed
    )
    assert f". {settings};" in docs
    assert "VGAN_EVAL_PSEUDONYM_KEY" in names  # the commands and the dashboard share one key
    assert {name for name in names if name not in wsgi} == {"VGAN_EVAL_PSEUDONYM_KEY"}


@pytest.fixture
def new_database(request):
    """Make an empty PostgreSQL database; returns its URL."""
    return request.getfixturevalue("_postgres").make


@pytest.fixture
def postgres_programs(postgres_server) -> Path:
    """The folder of pg_dump and pg_restore of the server that the tests run on."""
    try:
        from pgserver import _commands

        return Path(_commands.POSTGRES_BIN_PATH)
    except ImportError:
        found = shutil.which("pg_dump")
        if found is None:
            pytest.skip("no pg_dump: install pgserver or the PostgreSQL client")
        return Path(found).parent


@pytest.fixture
def back_up(tmp_path, postgres_programs):
    """Run `backup.sh once` for a database; returns what it did."""
    backups, files = tmp_path / "backups", tmp_path / "media"
    backups.mkdir()

    def run(url: str, *, good: bool = True) -> subprocess.CompletedProcess[str]:
        parts = make_url(url)
        environment = {
            "PATH": f"{postgres_programs}:{os.environ['PATH']}",
            "PGHOST": str(parts.query.get("host") or parts.host),
            "PGPORT": str(parts.port or 5432),
            "PGUSER": str(parts.username),
            "PGPASSWORD": str(parts.password or ""),
            "PGDATABASE": str(parts.database if good else "no_such_database"),
            "BACKUP_DIR": str(backups),
            "FILES_DIR": str(files),
            "BACKUP_KEEP_DAYS": "14",
        }
        return subprocess.run(
            ["sh", str(DEPLOY / "backup.sh"), "once"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    run.folder, run.files = backups, files
    return run


def restore_lines(url: str, dump: str) -> list[list[str]]:
    """The restore commands of the docs, after what is Docker's, for a database of the tests."""
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    found = re.findall(r"--entrypoint (dropdb|createdb|pg_restore) backup ([^|\n]+)", text)
    parts = make_url(url)
    given = {
        "--dbname=vgan": f"--dbname={parts.database}",
        "vgan": str(parts.database),
        "/backups/study-TIME.dump": dump,
    }
    server = [f"--host={parts.query.get('host') or parts.host}", f"--username={parts.username}"]
    return [[name, *server, *(given.get(w, w) for w in rest.split())] for name, rest in found]


@pytest.mark.postgres
def test_a_backup_restored_by_the_documented_line_is_the_study(
    new_database, study_toml, tmp_path, back_up, postgres_programs
):
    source, target = new_database(), new_database()
    database = create_database(source)
    init_study(database, load_study(study_toml()), LocalStore(tmp_path / "media"), tmp_path / "a")
    database.close()

    done = back_up(source)
    assert done.returncode == 0, done.stderr
    create_database(target).close()  # the restore is over a database that is not empty
    lines = restore_lines(target, done.stdout.strip())
    assert [line[0] for line in lines] == ["dropdb", "createdb", "pg_restore"]
    for program, *arguments in lines:
        subprocess.run([postgres_programs / program, *arguments], check=True)

    def content(url):
        with open_database(url) as opened, opened.read() as session:
            counts = [
                session.scalar(select(func.count()).select_from(table))
                for table in schema.Base.metadata.sorted_tables
            ]
            return counts, session.scalar(select(schema.Study.secret))

    assert content(target) == content(source)
    assert content(source)[0] != [0] * len(content(source)[0])
    listed = subprocess.run(["tar", "-tf", back_up.folder / "files.tar"], capture_output=True)
    names = {Path(line).name for line in listed.stdout.decode().splitlines()}
    assert {path.name for path in (tmp_path / "media").iterdir() if path.is_file()} <= names


@pytest.mark.postgres
def test_half_made_files_are_in_no_backup_and_cause_none(new_database, back_up):
    archive, url = back_up.folder / "files.tar", new_database()
    (back_up.files / ".cache").mkdir(parents=True)
    (back_up.files / "clip").write_bytes(b"whole")
    (back_up.files / ".cache" / "half").write_bytes(b"ha")

    back_up(url)
    listed = subprocess.run(["tar", "-tf", archive], capture_output=True, text=True, check=True)
    assert sorted(listed.stdout.split()) == ["./", "./clip"]
    os.utime(archive, (archive.stat().st_mtime + 60,) * 2)
    made = archive.stat().st_mtime
    for name in (".cache/half", "clip"):
        os.utime(back_up.files / name, (made + 60,) * 2)
        back_up(url)

        assert (archive.stat().st_mtime == made) is (name != "clip")


@pytest.mark.postgres
def test_old_backups_go_only_after_a_new_one_was_made(new_database, back_up):
    old = back_up.folder / "study-20200101T000000Z.dump"
    old.write_bytes(b"old")
    then = time.time() - 20 * 86_400
    os.utime(old, (then, then))
    url = new_database()

    assert back_up(url, good=False).returncode != 0
    assert old.exists()
    assert back_up(url).returncode == 0
    assert not old.exists()
    assert len(list(back_up.folder.glob("study-*.dump"))) == 1
