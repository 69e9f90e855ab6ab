from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from spark_apps.errors import JavaMissingError, UserError
from spark_apps.runtime import bootstrap
from spark_apps.runtime.bootstrap import Step
from tests.waiting import PATIENCE, beside, eventually

REPOSITORY = Path(__file__).resolve().parents[2]
PIN = "{name}=={version} \\\n    --hash=sha256:{hash}\n    # via shopstream (pyproject.toml)\n"


def pin(name: str, version: str) -> str:
    return PIN.format(name=name, version=version, hash="0" * 64)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "tiny"\n')
    (folder / bootstrap.LOCK).write_text(pin("click", "8.5.1"))
    (folder / bootstrap.SPARK_LOCK).write_text(pin("pyspark", "4.1.4"))
    (folder / bootstrap.DEV_LOCK).write_text(pin("setuptools", "84.2.1") + pin("pytest", "9.2.0"))
    (folder / bootstrap.HOSTS_LOCK).write_text(pin("ansible", "10.7.0"))
    return folder


class Runner:
    """Stands for the real commands: makes the folder that they would make, or fails at a step."""

    def __init__(self, root: Path, fails_at: int | None = None, failure: BaseException | None = None) -> None:
        self.root = root
        self.fails_at = fails_at
        self.failure = failure
        self.steps: list[Step] = []

    def __call__(self, step: Step, log_file: Path) -> None:
        self.steps.append(step)
        if len(self.steps) == self.fails_at:
            assert self.failure is not None
            raise self.failure
        python = bootstrap.venv_program(self.root, "python")
        python.parent.mkdir(parents=True, exist_ok=True)
        python.unlink(missing_ok=True)
        python.touch()

    @property
    def did(self) -> list[str]:
        return [kind_of(step) for step in self.steps]


def kind_of(step: Step) -> str:
    command = " ".join(step.command)
    if " venv " in command:
        return "venv"
    if " -e " in command:
        return "project"
    if " -c import " in command:
        return "compile"
    return Path(step.command[-1]).name


FROM_NOTHING = ["venv", "build.txt", "requirements.lock", "compile", "project"]
FROM_NOTHING_DEV = ["venv", "build.txt", "requirements-dev.lock", "compile", "project"]


def set_up(root: Path, lock: str = bootstrap.LOCK) -> list[str]:
    runner = Runner(root)
    bootstrap.set_up(root, lock, runner)
    return runner.did


class TestWhatIsDone:
    def test_everything_at_first_and_nothing_the_second_time(self, root: Path) -> None:
        assert set_up(root) == FROM_NOTHING
        assert set_up(root) == []

    @pytest.mark.parametrize("lock", [bootstrap.SPARK_LOCK, bootstrap.DEV_LOCK, bootstrap.HOSTS_LOCK])
    def test_more_is_added_to_a_plain_set_up_and_stays(self, root: Path, lock: str) -> None:
        set_up(root)

        assert set_up(root, lock) == [lock, "compile"]
        for less in bootstrap.LOCKS[: bootstrap.LOCKS.index(lock) + 1]:
            assert set_up(root, less) == []

    def test_plain_after_dev_does_nothing_and_keeps_the_tools(self, root: Path) -> None:
        assert set_up(root, bootstrap.DEV_LOCK) == FROM_NOTHING_DEV
        assert set_up(root) == []
        (root / "pyproject.toml").write_text('[project]\nname = "changed"\n')
        assert set_up(root) == ["project"]
        assert set_up(root, bootstrap.DEV_LOCK) == []

    @pytest.mark.parametrize("lock", [bootstrap.LOCK, bootstrap.SPARK_LOCK, bootstrap.DEV_LOCK])
    def test_a_changed_lock_file_starts_from_nothing(self, root: Path, lock: str) -> None:
        set_up(root, bootstrap.DEV_LOCK)
        with (root / lock).open("a") as text:
            text.write(pin("rich", "15.0.0"))

        assert set_up(root, bootstrap.DEV_LOCK) == FROM_NOTHING_DEV

    def test_the_tools_lock_does_not_concern_a_plain_set_up(self, root: Path) -> None:
        set_up(root)
        with (root / bootstrap.DEV_LOCK).open("a") as text:
            text.write(pin("rich", "15.0.0"))

        assert set_up(root) == []

    @pytest.mark.parametrize(("field", "other"), [("python", "cpython 3.9"), ("folder", "/elsewhere/.venv")])
    def test_another_python_or_place_starts_from_nothing(self, root: Path, field: str, other: str) -> None:
        set_up(root)
        state_file = root / ".venv" / "setup.json"
        state_file.write_text(json.dumps(json.loads(state_file.read_text()) | {field: other}))

        assert set_up(root) == FROM_NOTHING

    def test_a_removed_interpreter_starts_from_nothing(self, root: Path) -> None:
        set_up(root)
        python = bootstrap.venv_program(root, "python")
        python.unlink()
        python.symlink_to(root / "uninstalled-python")

        assert set_up(root) == FROM_NOTHING

    @pytest.mark.parametrize("left", ["", '{"python": "cpy', "[]", "{}", '{"unknown": 1}'])
    def test_an_unreadable_record_starts_from_nothing(self, root: Path, left: str) -> None:
        set_up(root)
        (root / ".venv" / "setup.json").write_text(left)

        assert set_up(root) == FROM_NOTHING


class TestInterrupted:
    @pytest.mark.parametrize("failure", [KeyboardInterrupt(), UserError("pip failed"), SystemExit(1)])
    @pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
    def test_a_set_up_cut_off_at_any_step_is_made_again(self, root: Path, step: int, failure: BaseException) -> None:
        with pytest.raises(type(failure)):
            bootstrap.set_up(root, bootstrap.LOCK, Runner(root, fails_at=step, failure=failure))

        assert set_up(root) == FROM_NOTHING
        assert set_up(root) == []

    def test_so_is_a_good_one_that_was_cut_off_while_it_was_added_to(self, root: Path) -> None:
        set_up(root)
        with pytest.raises(KeyboardInterrupt):
            bootstrap.set_up(root, bootstrap.DEV_LOCK, Runner(root, fails_at=1, failure=KeyboardInterrupt()))

        assert set_up(root) == FROM_NOTHING

    def test_the_person_is_told_why_it_is_made_again(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(KeyboardInterrupt):
            bootstrap.set_up(root, bootstrap.LOCK, Runner(root, fails_at=3, failure=KeyboardInterrupt()))
        capsys.readouterr()
        set_up(root)

        assert capsys.readouterr().out.startswith("The last set-up of .venv did not end well")

    def test_a_second_set_up_waits_for_the_first(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        first, second = Runner(root), Runner(root)
        started, go_on = threading.Event(), threading.Event()

        def slow(step: Step, log_file: Path) -> None:
            started.set()
            assert go_on.wait(PATIENCE)
            first(step, log_file)

        said: list[str] = []

        def told() -> bool:
            said.append(capsys.readouterr().out)
            return "Another set-up is at work in this folder" in "".join(said)

        with beside(bootstrap.set_up, root, bootstrap.LOCK, slow):
            assert started.wait(PATIENCE)
            with beside(bootstrap.set_up, root, bootstrap.LOCK, second):
                eventually(told, "the second waits")
                go_on.set()

        assert first.did == FROM_NOTHING
        assert second.did == []


class TestCommands:
    def commands(self, root: Path, lock: str = bootstrap.LOCK) -> list[Step]:
        return bootstrap.plan(root, None, bootstrap.wanted(root, lock))

    def test_nothing_is_installed_without_a_hash(self, root: Path) -> None:
        venv, build_tool, packages, _, project = self.commands(root)

        assert venv.command[1:] == ["-I", "-m", "venv", "--clear", str(root / ".venv")]
        for step in (build_tool, packages):
            assert "--require-hashes" in step.command
        assert {"--no-deps", "--no-index", "--no-build-isolation"} <= set(project.command)

    def test_packages_are_built_with_the_locked_build_tool(self, root: Path) -> None:
        _, build_tool, packages, *_ = self.commands(root)

        assert str(build_tool.file) == build_tool.command[-1]
        assert build_tool.content == pin("setuptools", "84.2.1")
        source = f"--no-binary={','.join(bootstrap.ONLY_AS_SOURCE)}"
        assert {"--no-build-isolation", "--only-binary=:all:", source} <= set(packages.command)

    @pytest.mark.parametrize("lock", bootstrap.LOCKS)
    def test_the_lock_file_is_the_one_asked_for(self, root: Path, lock: str) -> None:
        assert self.commands(root, lock)[2].command[-2:] == ["-r", str(root / lock)]

    @pytest.mark.parametrize("lock", bootstrap.LOCKS)
    def test_spark_is_imported_where_it_is_installed(self, root: Path, lock: str) -> None:
        imports = self.commands(root, lock)[3].command[-1]

        assert "duckdb" in imports
        assert ("pyspark" in imports) == (lock != bootstrap.LOCK)

    def test_pip_belongs_to_the_virtual_environment(self, root: Path) -> None:
        python = str(bootstrap.venv_program(root, "python"))

        assert {step.command[0] for step in self.commands(root)[1:]} == {python}

    def test_a_lock_without_the_build_tool_is_named(self) -> None:
        with pytest.raises(UserError, match="does not pin setuptools"):
            bootstrap.locked_entry(pin("pytest", "9.2.0"), "setuptools")


class TestRunningAStep:
    def step(self, script: str, **more: object) -> Step:
        return Step("packages (many)", [sys.executable, "-c", script], **more)  # type: ignore[arg-type]

    def test_its_output_goes_to_the_log(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        bootstrap._run(self.step("print('Collecting click')"), tmp_path / "setup.log")

        assert (tmp_path / "setup.log").read_text() == "Collecting click\n"
        assert "Collecting" not in capfd.readouterr().out

    def test_its_file_is_there_before_it_runs(self, tmp_path: Path) -> None:
        file = tmp_path / "build.txt"
        bootstrap._run(
            self.step(f"print(open({str(file)!r}).read())", file=file, content="locked"), tmp_path / "setup.log"
        )

        assert (tmp_path / "setup.log").read_text() == "locked\n"

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            ("print('x'); print('ERROR: No space left. More.'); print('end'); exit(1)", "ERROR: No space left;"),
            ("print('all went'); print('the last line'); exit(3)", "the last line;"),
            ("exit(1)", "no reason given;"),
            ("print('ERROR: ' + 'x' * 500); exit(1)", r"ERROR: x{113}\.\.\.;"),
        ],
    )
    def test_a_failure_is_one_sentence(self, script: str, reason: str, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=rf"^The set-up stopped at packages \({reason}") as caught:
            bootstrap._run(self.step(script), tmp_path / "setup.log")

        assert "\n" not in str(caught.value)
        assert "run the same command again" in str(caught.value)


class TestMain:
    @pytest.fixture(autouse=True)
    def _java_is_there(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bootstrap, "REPOSITORY", root)
        monkeypatch.setattr(bootstrap, "find_java", lambda: Path("/java"))

    def no_java(self, monkeypatch: pytest.MonkeyPatch, terminal: bool) -> list[Path]:
        def missing() -> Path:
            raise JavaMissingError("Spark needs Java.")

        fetched: list[Path] = []

        def fetch(python: Path) -> Path:
            fetched.append(python)
            return Path("/own-java")

        monkeypatch.setattr(bootstrap, "find_java", missing)
        monkeypatch.setattr(bootstrap, "install_java", fetch)
        monkeypatch.setattr("sys.stdin.isatty", lambda: terminal, raising=False)
        return fetched

    def test_the_first_time_ends_with_the_next_step(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(bootstrap, "_run", Runner(root))

        assert bootstrap.main([]) == 0
        program = Path(".venv") / bootstrap.venv_program(root, "shopstream").relative_to(root / ".venv")
        assert capsys.readouterr().out.endswith(f"Ready: make demo, or {program} --help\n")
        assert bootstrap.main([]) == 0
        assert capsys.readouterr().out == ""

    def test_without_spark_nobody_looks_for_java(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        fetched = self.no_java(monkeypatch, terminal=True)
        monkeypatch.setattr(bootstrap, "_run", runner := Runner(root))

        assert bootstrap.main([]) == 0
        assert (fetched, runner.did) == ([], FROM_NOTHING)
        assert "Java" not in capsys.readouterr().out

    def test_spark_without_java_is_refused_before_anything_is_installed(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.no_java(monkeypatch, terminal=False)
        monkeypatch.setattr(bootstrap, "_run", runner := Runner(root))

        assert bootstrap.main(["--spark"]) == 2
        assert capsys.readouterr().err == "Spark needs Java.\n"
        assert runner.did == []

    @pytest.mark.parametrize("option", ["--dev", "--hosts"])
    def test_tools_without_java_are_installed_and_say_what_tests_leave_out(
        self, option: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        fetched = self.no_java(monkeypatch, terminal=True)
        monkeypatch.setattr(bootstrap, "_run", Runner(root))

        assert bootstrap.main([option]) == 0
        told = [line for line in capsys.readouterr().out.splitlines() if "Java" in line]
        assert fetched == [] and len(told) == 1 and "tests of Spark will be skipped" in told[0]

    @pytest.mark.parametrize("options", [[], ["--spark"], ["--dev"]])
    def test_java_is_fetched_when_asked_for(
        self, options: list[str], root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetched = self.no_java(monkeypatch, terminal=False)
        monkeypatch.setattr(bootstrap, "_run", runner := Runner(root))

        assert bootstrap.main([*options, "--install-java"]) == 0
        assert fetched == [bootstrap.venv_program(root, "python")]
        assert runner.did[2] == (bootstrap.DEV_LOCK if options == ["--dev"] else bootstrap.SPARK_LOCK)

    @pytest.mark.parametrize(("answer", "code", "times"), [("y", 0, 1), (" Yes ", 0, 1), ("", 2, 0), ("n", 2, 0)])
    def test_a_person_at_a_terminal_is_asked(
        self, answer: str, code: int, times: int, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetched = self.no_java(monkeypatch, terminal=True)
        monkeypatch.setattr(bootstrap, "_run", Runner(root))
        monkeypatch.setattr("builtins.input", lambda question: answer)

        assert bootstrap.main(["--spark"]) == code
        assert len(fetched) == times

    def test_a_failed_download_is_one_sentence(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.no_java(monkeypatch, terminal=False)
        monkeypatch.setattr(bootstrap, "_run", Runner(root))

        def fails(python: Path) -> Path:
            raise UserError("Java could not be downloaded.")

        monkeypatch.setattr(bootstrap, "install_java", fails)

        assert bootstrap.main(["--install-java"]) == 2
        assert capsys.readouterr().err == "Java could not be downloaded.\n"

    @pytest.mark.parametrize(
        ("failure", "code", "said"),
        [
            (KeyboardInterrupt(), 130, "Stopped"),
            (OSError(28, "No space left on device", "/x"), 2, "No space left while writing /x"),
            (PermissionError(13, "Permission denied", "/x"), 2, "/x may not be written"),
            (FileNotFoundError(2, "No such file", "/x"), 2, "/x is missing"),
        ],
    )
    def test_what_stops_it_is_said_in_one_sentence(
        self,
        failure: BaseException,
        code: int,
        said: str,
        root: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(bootstrap, "_run", Runner(root, fails_at=2, failure=failure))

        assert bootstrap.main([]) == code
        assert said in capsys.readouterr().err

    def test_a_python_without_venv_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "ensurepip" else name)

        assert bootstrap.main([]) == 2
        assert "apt-get install python3-venv" in capsys.readouterr().err


def run_python(script: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in the repository as a program of its own, with a home folder and a PATH that are empty."""
    empty = {"PATH": str(tmp_path), "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP", "TMP") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-B", "-c", script],
        cwd=REPOSITORY,
        env={**kept, **empty, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


RUN_AS_PROGRAM = "import runpy; runpy.run_module('spark_apps.runtime.bootstrap', run_name='__main__')"


def test_an_older_python_is_refused_in_one_sentence(tmp_path: Path) -> None:
    done = run_python(f"import sys; sys.version_info = (3, 9, 18); {RUN_AS_PROGRAM}", tmp_path)

    assert done.returncode == 2
    assert re.fullmatch(r"shopstream needs Python 3\.10 or newer, and this is 3\.9: .*\n", done.stderr)


def test_without_java_it_stops_before_anything_is_installed(tmp_path: Path) -> None:
    # The usual folders of the system are left out: on most test machines Java is there.
    script = (
        "import sys; from pathlib import Path; from spark_apps.runtime import bootstrap, java; "
        "java.USUAL_PLACES = (); "
        f"bootstrap.REPOSITORY = Path({str(tmp_path)!r}); sys.exit(bootstrap.main(['--spark']))"
    )
    done = run_python(script, tmp_path)

    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(
        r"Spark needs Java 17 or 21 and none was found: run `make setup INSTALL_JAVA=1` .*\n", done.stderr
    )
    assert list(tmp_path.iterdir()) == []


def test_the_set_up_needs_the_standard_library_only(tmp_path: Path) -> None:
    without_packages = "import sys; sys.path = [path for path in sys.path if 'site-packages' not in path]"
    script = f"{without_packages}; import spark_apps.runtime.bootstrap"

    assert run_python(script, tmp_path).stderr == ""


class TestLockFiles:
    def pinned(self, lock: str) -> set[str]:
        text = (REPOSITORY / lock).read_text(encoding="utf-8")
        return set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))

    def declared(self, *extras: str) -> set[str]:
        tomllib = pytest.importorskip("tomllib")
        project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        lines = list(project["dependencies"])
        for extra in extras:
            lines += project["optional-dependencies"][extra]
        return {re.split(r"[<>=!~ \[;]", line)[0].lower() for line in lines}

    def test_they_hold_all_that_the_project_declares(self) -> None:
        assert self.declared() <= self.pinned(bootstrap.LOCK)
        assert self.declared("java", "spark") <= self.pinned(bootstrap.SPARK_LOCK)
        assert self.declared("java", "spark", "dev") <= self.pinned(bootstrap.DEV_LOCK)
        assert self.declared("java", "spark", "dev", "hosts") <= self.pinned(bootstrap.HOSTS_LOCK)

    def test_each_holds_what_the_one_before_holds_and_in_the_same_versions(self) -> None:
        texts = [(REPOSITORY / lock).read_text(encoding="utf-8") for lock in bootstrap.LOCKS]
        pins = [set(re.findall(r"^([a-z0-9.-]+==\S+)", text, re.MULTILINE)) for text in texts]
        assert pins[0] < pins[1] < pins[2] < pins[3]

    def test_spark_and_what_only_spark_needs_are_in_an_extra(self) -> None:
        assert self.pinned(bootstrap.SPARK_LOCK) - self.pinned(bootstrap.LOCK) == {
            "install-jdk",
            "pandas",
            "py4j",
            "pyspark",
            "pytz",
        }

    def test_the_build_tool_is_pinned_with_hashes(self) -> None:
        lock = (REPOSITORY / bootstrap.DEV_LOCK).read_text(encoding="utf-8")

        assert "--hash=sha256:" in bootstrap.locked_entry(lock, bootstrap.BUILD_TOOL)
