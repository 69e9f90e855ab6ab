"""Aliases: moved by the promotion policy, by hand and back; never lost and never torn (SPEC M2)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from spark_apps.errors import MissingModelError, UserError
from spark_apps.registry.alias import KEPT, Alias, Promotion, read_alias, rollback_versions
from spark_apps.registry.promotion import Decision, promote, publish_without_policy, rollback
from spark_apps.registry.serving import current, stale_tables
from spark_apps.registry.versions import ALS, NAMES, POPULARITY, SEGMENTS, complete
from spark_apps.storage import HdfsPath, StoragePath
from spark_apps.storage.transaction import Transaction, recover
from spark_apps.tables import METADATA, USER_SEGMENTS, alias_path, model_path
from tests.hdfs.server import HdfsServer
from tests.registry.trainings import V1, V2, V3, V4, all_at, figures, promoted, tables_at, tables_of, train
from tests.storage.test_transaction import REPOSITORY, killed_at
from tests.waiting import beside, is_done


def history(root: StoragePath, name: str = ALS) -> list[tuple[str, str]]:
    alias = read_alias(root, name)
    return [(one.version, one.by) for one in alias.all()] if alias is not None else []


def by(decision: Decision) -> str | None:
    return decision.promotion.by if decision.promotion is not None else None


def used(root: StoragePath, name: str = ALS) -> str:
    return current(root, name)[1].version


def test_a_training_that_passes_moves_models_tables_and_aliases(tmp_path: Path) -> None:
    for version, hybrid in ((V1, 0.2), (V2, 0.195)):
        decision = train(tmp_path, version, figures(hybrid))
        assert (decision.version, by(decision), decision.kept_tables) == (version, "gate", ())
        assert promoted(tmp_path) == all_at(version)
        assert tables_of(tmp_path) == tables_at(version)
        assert {used(tmp_path, name) for name in NAMES} == {version}
    assert history(tmp_path) == [(V1, "gate"), (V2, "gate")]
    alias = read_alias(tmp_path, ALS)
    assert alias is not None and alias.reason == decision.reason
    assert stale_tables(tmp_path) == []


def test_a_refused_training_is_there_to_be_looked_at_and_changes_nothing_that_is_used(tmp_path: Path) -> None:
    train(tmp_path, V1, figures(0.2))
    before = (tmp_path / alias_path(ALS)).read_bytes()
    decision = train(tmp_path, V2, figures(0.15))
    assert decision.promotion is None
    assert decision.kept_tables == ("recommendations", "user_segments")
    assert str(decision) == (
        f"version {V2} is not promoted: NDCG@10 0.1500 is below the promoted version's 0.2000 by more than 5 %"
    )
    assert (tmp_path / alias_path(ALS)).read_bytes() == before
    assert promoted(tmp_path) == all_at(V1)
    assert tables_of(tmp_path) == tables_at(V1)
    for name in NAMES:
        assert used(tmp_path, name) == V1
        found = complete(tmp_path, name, V2)
        assert found is not None and found[1].verdict is not None
        assert (found[1].verdict.passed, found[1].verdict.reason) == (False, decision.reason)


def test_force_promotes_what_the_gate_refuses_and_says_so(tmp_path: Path) -> None:
    train(tmp_path, V1, figures(0.2))
    decision = train(tmp_path, V2, figures(0.15), force=True)
    assert by(decision) == "force"
    assert f"{decision}".startswith(f"version {V2} is promoted by --force although NDCG@10 0.1500 is below")
    assert promoted(tmp_path) == all_at(V2)
    assert tables_of(tmp_path) == tables_at(V2)
    assert by(train(tmp_path, V3, figures(0.15), force=True)) == "gate"  # which it passes without force


def test_the_margin_is_the_caller_s(tmp_path: Path) -> None:
    train(tmp_path, V1, figures(0.2))
    assert by(train(tmp_path, V2, figures(0.15), margin=0.2)) is None
    assert by(train(tmp_path, V3, figures(0.15), margin=0.3)) == "gate"


def test_a_new_version_is_compared_with_the_promoted_one_not_with_the_newest(tmp_path: Path) -> None:
    train(tmp_path, V1, figures(0.2))
    train(tmp_path, V2, figures(0.15))
    assert by(train(tmp_path, V3, figures(0.15))) is None
    promote(tmp_path, [ALS], V2)
    assert by(train(tmp_path, V4, figures(0.15))) == "gate"


def test_without_a_promoted_version_a_refused_one_is_used_with_its_tables(tmp_path: Path) -> None:
    decision = train(tmp_path, V1, figures(0.05))
    assert (by(decision), decision.kept_tables) == (None, ())
    assert promoted(tmp_path) == all_at(None)
    assert tables_of(tmp_path) == tables_at(V1)
    assert used(tmp_path) == V1


def test_where_the_promoted_version_is_gone_a_refused_one_is_used_with_its_tables(tmp_path: Path) -> None:
    train(tmp_path, V1)
    for name in NAMES:
        shutil.rmtree(tmp_path / model_path(name, V1))
    assert train(tmp_path, V2, figures(0.05)).kept_tables == ()
    assert tables_of(tmp_path) == tables_at(V2)
    assert used(tmp_path) == V2


def test_a_command_that_no_gate_judges_promotes_its_model_with_its_table(tmp_path: Path) -> None:
    train(tmp_path, V1)
    with Transaction(tmp_path, [USER_SEGMENTS.path]) as transaction:
        shutil.copytree(tmp_path / model_path(SEGMENTS, V1), transaction.stage(model_path(SEGMENTS, V2)))
        transaction.replace(model_path(SEGMENTS, V2))
        staged = transaction.stage(USER_SEGMENTS.path)
        staged.mkdir()
        (staged / "part-0.parquet").write_text(V2)
        transaction.replace(USER_SEGMENTS.path)
        publish_without_policy(tmp_path, transaction, SEGMENTS, V2, USER_SEGMENTS, command="segment")
    assert promoted(tmp_path) == {**all_at(V1), SEGMENTS: V2}
    assert tables_of(tmp_path) == {**tables_at(V1), "user_segments": V2}


def test_promoting_by_hand_moves_the_alias_and_nothing_else(tmp_path: Path) -> None:
    for version in (V1, V2):
        train(tmp_path, version)
    moved = promote(tmp_path, [ALS], V1, "V2 looks odd")
    assert (moved[ALS].version, moved[ALS].by, moved[ALS].reason) == (V1, "hand", "V2 looks odd")
    assert promoted(tmp_path) == {**all_at(V2), ALS: V1}
    assert history(tmp_path) == [(V1, "gate"), (V2, "gate"), (V1, "hand")]
    assert tables_of(tmp_path) == tables_at(V2)
    [stale] = stale_tables(tmp_path)
    assert str(stale) == f"Table recommendations was made with version {V2}, while version {V1} of model als is in use"
    options = "--from 2019-10-01 --to 2019-10-31 --seed 7 --als implicit --rank 50 --iterations 15"
    assert stale.command == f"shopstream train {options} --force"
    promote(tmp_path, [ALS], V2)
    assert stale_tables(tmp_path) == []


def test_promoting_what_is_promoted_moves_nothing(tmp_path: Path) -> None:
    train(tmp_path, V1)
    assert promote(tmp_path, [ALS], V1)[ALS].by == "gate"
    assert history(tmp_path) == [(V1, "gate")]


def test_promoting_by_hand_what_the_gate_refused_is_said(tmp_path: Path) -> None:
    train(tmp_path, V1, figures(0.2))
    train(tmp_path, V2, figures(0.15))
    assert promote(tmp_path, [ALS], V2)[ALS].reason == "chosen by hand although the promotion policy refused it"
    assert promote(tmp_path, [ALS], V1)[ALS].reason == "chosen by hand"


@pytest.mark.parametrize("version", [V3, "..", f"../{ALS}/{V1}", "", "promoted.json"])
def test_only_a_complete_version_is_promoted_and_of_several_models_all_or_none(version: str, tmp_path: Path) -> None:
    train(tmp_path, V1)
    train(tmp_path, V2)
    shutil.copytree(tmp_path / model_path(ALS, V1), tmp_path / model_path(ALS, V3))
    shutil.copytree(tmp_path / model_path(SEGMENTS, V1), tmp_path / model_path(SEGMENTS, V3))
    (tmp_path / model_path(SEGMENTS, V3) / METADATA).unlink()
    with pytest.raises(MissingModelError, match="There is no complete version"):
        promote(tmp_path, [ALS, SEGMENTS], version)
    assert promoted(tmp_path) == all_at(V2)


def test_each_rollback_goes_one_further_back_and_the_history_stays(tmp_path: Path) -> None:
    for version in (V1, V2, V3):
        train(tmp_path, version)
    assert rollback(tmp_path, [ALS])[ALS].reason == f"back from {V3}"
    assert promoted(tmp_path) == {**all_at(V3), ALS: V2}
    rollback(tmp_path, [ALS])
    assert used(tmp_path) == V1
    with pytest.raises(UserError, match="No complete version of model als was promoted before the present one"):
        rollback(tmp_path, [ALS])
    assert history(tmp_path) == [(V1, "gate"), (V2, "gate"), (V3, "gate"), (V2, "rollback"), (V1, "rollback")]
    train(tmp_path, V4)
    rollback(tmp_path, [ALS])
    assert used(tmp_path) == V1


def test_a_rollback_of_several_models_is_one_step_or_none(tmp_path: Path) -> None:
    for version in (V1, V2):
        train(tmp_path, version)
    rollback(tmp_path, NAMES)
    assert promoted(tmp_path) == all_at(V1)
    promote(tmp_path, [ALS], V2)
    with pytest.raises(UserError, match=f"of model {SEGMENTS}"):
        rollback(tmp_path, NAMES)
    assert promoted(tmp_path) == {**all_at(V1), ALS: V2}


def test_a_rollback_passes_over_versions_that_are_gone(tmp_path: Path) -> None:
    for version in (V1, V2, V3):
        train(tmp_path, version)
    shutil.rmtree(tmp_path / model_path(ALS, V2))
    rollback(tmp_path, [ALS])
    assert used(tmp_path) == V1


def test_a_refused_version_is_not_on_the_way_back(tmp_path: Path) -> None:
    train(tmp_path, V1, figures(0.2))
    train(tmp_path, V2, figures(0.1))
    train(tmp_path, V3, figures(0.2))
    rollback(tmp_path, [ALS])
    assert used(tmp_path) == V1


@pytest.mark.parametrize(
    ("moves", "back"),
    [
        ("1", ""),
        ("1 2", "1"),
        ("1 2 3", "2 1"),
        ("1 2 3 <2", "1"),
        ("1 2 3 <2 <1", ""),
        ("1 2 3 <2 4", "2 1"),
        ("1 2 3 <1", ""),  # 2 was gone
        ("1 2 1", "2"),  # not to itself
        ("1 2 1 <2", "1"),
        ("1 2 1 3 <1", "2"),
        ("5 <4", ""),  # the promotion that it goes back to is no longer kept
        ("5 <4 6", "4"),
    ],
)
def test_ways_back(moves: str, back: str) -> None:
    made = [
        Promotion(version=move[-1], promoted_at="", by="rollback" if move[0] == "<" else "hand", reason="")
        for move in moves.split()
    ]
    alias = Alias(**made[-1].model_dump(), history=made[:-1])
    assert rollback_versions(alias) == back.split()


def test_the_history_is_bounded(tmp_path: Path) -> None:
    for version in (V1, V2):
        train(tmp_path, version)
    for _ in range(KEPT):
        for version in (V1, V2):
            promote(tmp_path, [ALS], version)
    alias = read_alias(tmp_path, ALS)
    assert alias is not None and len(alias.history) == KEPT
    assert (tmp_path / alias_path(ALS)).stat().st_size < 10_000
    rollback(tmp_path, [ALS])
    assert used(tmp_path) == V1


def test_jobs_use_the_promoted_version_or_else_the_newest_complete_one(tmp_path: Path) -> None:
    train(tmp_path, V1)
    train(tmp_path, V2)
    rollback(tmp_path, [ALS])
    assert [used(tmp_path, name) for name in (ALS, POPULARITY)] == [V1, V2]
    (tmp_path / alias_path(ALS)).unlink()
    assert used(tmp_path) == V2
    with pytest.raises(MissingModelError):
        current(tmp_path, "other")


@pytest.mark.parametrize("damage", ["gone", "incomplete"])
def test_a_promoted_version_that_cannot_be_used_is_told_of_in_one_line(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in (V1, V2, V3):
        train(tmp_path, version)
    promote(tmp_path, [ALS], V1)
    assert used(tmp_path) == V1
    assert capsys.readouterr().err == ""
    if damage == "gone":
        shutil.rmtree(tmp_path / model_path(ALS, V1))
    else:
        (tmp_path / model_path(ALS, V1) / "data" / "part-0.parquet").write_text("half")
    assert used(tmp_path) == V3
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        f"! The promoted version {V1} of model als is gone or incomplete: {V3}, the newest complete one, is used; "
        "see `shopstream models list`.\n"
    )


def test_an_alias_that_somebody_spoilt_is_told_of_and_fixed_by_the_next_promotion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in (V1, V2):
        train(tmp_path, version)
    (tmp_path / alias_path(ALS)).write_text('{"version": ')
    assert used(tmp_path) == V2
    assert re.search(r"promoted.json is not as shopstream writes it", capsys.readouterr().err)
    promote(tmp_path, [ALS], V1)
    assert history(tmp_path) == [(V1, "hand")]


def test_a_mistyped_root_is_not_made(tmp_path: Path) -> None:
    for move in (lambda root: promote(root, [ALS], V1), lambda root: rollback(root, [ALS])):
        with pytest.raises(MissingModelError):
            move(tmp_path / "typo")
    assert list(tmp_path.iterdir()) == []


def with_versions(root: Path, count: int) -> list[str]:
    """Versions of the model als of which none is promoted."""
    train(root, V1)
    (root / alias_path(ALS)).unlink()
    names = [f"201912{day:02d}T000000Z" for day in range(1, count + 1)]
    for name in names:
        shutil.copytree(root / model_path(ALS, V1), root / model_path(ALS, name))
    return names


# Promotes a version, and stops between reading the alias and replacing it until it is told to go on.
PROMOTING_SLOWLY = """
import sys
from spark_apps.registry import alias
from spark_apps.registry.promotion import promote
from spark_apps.storage import root_path

real = alias.read_alias

def slowly(root, name):
    found = real(root, name)
    print("read", flush=True)
    sys.stdin.readline()
    return found

alias.read_alias = slowly
promote(root_path(sys.argv[1], sys.argv[2]), ["als"], sys.argv[3])
"""


def assert_processes_lose_nothing(root: StoragePath, here: str, there: str, webhdfs: str = "") -> None:
    """Promotes a version here while another process is about to promote another."""
    command = [sys.executable, "-c", PROMOTING_SLOWLY, str(root), webhdfs, there]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=REPOSITORY) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "read\n"
        with beside(promote, root, [ALS], here) as waiting:
            assert not is_done(waiting, 0.5)  # it would be done before, on a local folder
            other.communicate("go\n", timeout=60)
    assert [version for version, _ in history(root)][-2:] == [there, here]


def test_processes_that_promote_at_once_lose_nothing(tmp_path: Path) -> None:
    one, other = with_versions(tmp_path, 2)
    assert_processes_lose_nothing(tmp_path, one, other)


def test_the_same_on_hdfs(on_hdfs: HdfsPath, hdfs_server: HdfsServer) -> None:
    for version, hybrid in ((V1, 0.2), (V2, 0.2), (V3, 0.1)):
        train(on_hdfs, version, figures(hybrid))
    assert promoted(on_hdfs) == all_at(V2)
    assert tables_of(on_hdfs) == tables_at(V2)
    assert used(on_hdfs) == V2
    rollback(on_hdfs, [ALS])
    assert promoted(on_hdfs) == {**all_at(V2), ALS: V1}
    assert [stale.table for stale in stale_tables(on_hdfs)] == ["recommendations"]
    assert_processes_lose_nothing(on_hdfs, V2, V3, hdfs_server.webhdfs)
    assert history(on_hdfs) == [(V1, "gate"), (V2, "gate"), (V1, "rollback"), (V3, "hand"), (V2, "hand")]


def test_threads_that_promote_at_once_lose_nothing(tmp_path: Path) -> None:
    names = with_versions(tmp_path, 10)
    start = threading.Barrier(len(names))

    def promote_one(version: str) -> None:
        start.wait(60)
        promote(tmp_path, [ALS], version)

    with ExitStack() as threads:
        for name in names:
            threads.enter_context(beside(promote_one, name))
    assert sorted(version for version, _ in history(tmp_path)) == names


def test_a_promotion_does_not_wait_for_a_training_and_is_what_the_training_finds(tmp_path: Path) -> None:
    train(tmp_path, V1, figures(0.2))
    train(tmp_path, V2, figures(0.3))
    with Transaction(tmp_path, ["processed/recommendations", *(model_path(name, V3) for name in NAMES)]):
        promote(tmp_path, [ALS], V1)
        assert used(tmp_path) == V1
    assert by(train(tmp_path, V3, figures(0.2))) == "gate"  # V2, which was promoted when it began, does better


KILLED_PROMOTION = """
from spark_apps.registry.promotion import promote
from spark_apps.registry.versions import NAMES
promote(root, NAMES, "20191102T000000Z")
"""
KILLED_TRAINING = """
from tests.registry.trainings import V3, figures, train
train(root, V3, figures(0.3))
"""


def root_with_two(root: Path) -> Path:
    train(root, V1, figures(0.2))
    train(root, V2, figures(0.2))
    promote(root, NAMES, V1)
    return root


def assert_whole(root: Path) -> None:
    """What a reader finds that waits for nobody: each alias as it was or as it becomes, naming what is there."""
    for name in NAMES:
        alias = json.loads((root / alias_path(name)).read_bytes())
        assert complete(root, name, alias["version"]) is not None


def test_a_promotion_killed_at_any_step_leaves_the_old_aliases_or_the_new_ones(tmp_path: Path) -> None:
    seen = []
    for step in range(1, 100):
        root = root_with_two(tmp_path / str(step))
        if not killed_at(step, "before", KILLED_PROMOTION, root):
            break
        assert_whole(root)
        recover(root)
        assert promoted(root) in (all_at(V1), all_at(V2))
        seen.append(promoted(root) == all_at(V2))
        rollback(root, [ALS])  # nothing is in the way of the next
    assert seen == sorted(seen) and set(seen) == {False, True}
    assert promoted(root) == all_at(V2)


def test_a_training_killed_at_any_step_leaves_all_old_or_all_new(tmp_path: Path) -> None:
    seen = []
    for step in range(1, 100):
        root = root_with_two(tmp_path / str(step))
        train(root, "20191102T120000Z", figures(0.2))
        if not killed_at(step, "before", KILLED_TRAINING, root):
            break
        assert_whole(root)
        recover(root)
        version = promoted(root)[ALS]
        assert version in ("20191102T120000Z", V3)
        assert promoted(root) == all_at(version)
        assert tables_of(root) == tables_at(version)
        assert all((complete(root, name, V3) is not None) == (version == V3) for name in NAMES)
        seen.append(version == V3)
    assert seen == sorted(seen) and set(seen) == {False, True}


def test_files_keep_the_names_that_they_were_written_with(tmp_path: Path) -> None:
    """`gate` in metadata.json and promoted.json is a data format that scripts and earlier versions read."""
    train(tmp_path, V1, figures(0.2))
    metadata = json.loads((tmp_path / model_path(ALS, V1) / METADATA).read_bytes())
    assert metadata["gate"]["passed"] is True and "verdict" not in metadata
    assert json.loads((tmp_path / "models" / ALS / "promoted.json").read_bytes())["by"] == "gate"
