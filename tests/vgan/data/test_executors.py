"""Videos are cut here, by several processes or by a cluster; a worker that dies loses nothing."""

import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress

import pytest

from vgan.data.clips import ingest
from vgan.data.executors import WorkerError, open_workers, run_all
from vgan.data.manifest import read_manifest, sha256_of
from vgan.errors import DataError, UsageError

SMALL = {"frames": 8, "size": 16, "progress": False}


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_run_once(workers):
    with open_workers(workers) as pool:
        assert sorted(run_all(pool, abs, range(-20, 0))) == list(range(1, 21))


def test_tasks_are_taken_as_they_are_needed():
    taken = []

    def tasks():
        for number in range(100):
            taken.append(number)
            yield number

    with open_workers(1) as pool:
        results = run_all(pool, abs, tasks())
        next(results)

        assert len(taken) <= 2


def test_error_of_a_task_ends_the_run():
    def fails(task: int) -> int:
        if task == 2:
            raise DataError("the disk is full")
        return task

    done = []
    with open_workers(1) as pool, pytest.raises(DataError, match="disk is full"):
        done.extend(run_all(pool, fails, range(100)))
    assert done == [0, 1]


def test_killed_process_is_named_with_what_to_do():
    # `os.abort` is importable by the other process under any way of running the tests.
    with (
        pytest.raises(WorkerError, match=r"was killed.*fewer --workers"),
        open_workers(2) as pool,
    ):
        list(run_all(pool, os._exit, [3]))


_HOLDING = r"""
import os
import signal
import time
from vgan.data.executors import open_workers, run_all

def hold(number):
    os.write(1, b"working\n")  # whole lines, whoever else writes
    time.sleep(600)

if __name__ == "__main__":
    # A shell that starts something in the background lets it ignore Ctrl-C, and all it starts too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with open_workers(2) as pool:
        list(run_all(pool, hold, range(8)))
"""


@pytest.mark.parametrize(
    ("name", "group"),
    [("SIGKILL", False), ("SIGTERM", False), ("SIGINT", False), ("SIGINT", True)],
)
def test_processes_end_with_the_one_that_started_them(tmp_path, name, group):
    (tmp_path / "holding.py").write_text(_HOLDING)
    run = subprocess.Popen(
        [sys.executable, str(tmp_path / "holding.py")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert run.stdout is not None
        assert [run.stdout.readline() for _ in range(2)] == ["working\n"] * 2
        (os.killpg if group else os.kill)(run.pid, signal.Signals[name])
        # The other end of this pipe is open as long as one of them lives.
        assert run.communicate(timeout=60)[0] == ""
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_interrupts_as_ctrl_c_does_and_only_while_workers_are_open(workers):
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt), open_workers(workers):
        signal.raise_signal(signal.SIGTERM)

    assert signal.getsignal(signal.SIGTERM) is before is signal.SIG_DFL


def test_no_scheduler_at_the_address_is_named(monkeypatch):
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    monkeypatch.setattr("vgan.data.executors._CLUSTER_PATIENCE", "200ms")

    with pytest.raises(UsageError, match=r"tcp://127\.0\.0\.1:9: no Dask scheduler answers"):
        open_workers(1, "tcp://127.0.0.1:9").__enter__()


def test_missing_dask_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)

    with pytest.raises(UsageError, match="vgan-eval\\[dask\\]"):
        open_workers(1, "tcp://127.0.0.1:9").__enter__()


@pytest.fixture
def cluster():
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
        host="127.0.0.1", silence_logs=50,
    ) as local:  # fmt: skip
        yield local


def test_cluster_whose_worker_is_killed_cuts_every_video_exactly_once(tmp_path, video, cluster):
    from distributed import Client

    for number in range(6):
        video(f"golf/{number}.mp4", frames=24, seed=number)
    ingest([tmp_path / "videos"], tmp_path / "here", workers=1, **SMALL)

    def kill_yourself_at_the_second_clip() -> int:
        import os

        from vgan.data import cutting

        written = []
        write = cutting.write_clip

        def write_clip(path, frames, fps):
            written.append(path)
            if len(written) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return write(path, frames, fps)

        cutting.write_clip = write_clip
        return os.getpid()

    with Client(cluster, set_as_default=False) as client:
        victim = next(iter(client.scheduler_info()["workers"]))
        killed = client.run(kill_yourself_at_the_second_clip, workers=[victim])[victim]

        report = ingest(
            [tmp_path / "videos"], tmp_path / "far", scheduler=cluster.scheduler_address, **SMALL
        )

        assert killed not in client.run(os.getpid).values()
    records = read_manifest(tmp_path / "far")
    assert (report.videos, report.rejects) == (6, [])
    assert Counter(r.origin.video for r in records) == {f"golf/{n}.mp4": 3 for n in range(6)}
    assert records == read_manifest(tmp_path / "here")
    assert all(r.sha256 == sha256_of(tmp_path / "far" / r.clip) for r in records)
    assert len(list((tmp_path / "far").rglob("*.mp4"))) == 18
