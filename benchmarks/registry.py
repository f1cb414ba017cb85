"""What `run_all.py` runs, small, and which figures of each output it tables."""

from dataclasses import dataclass

NUMBER = r"([\d,]+(?:\.\d+)?)"


@dataclass(frozen=True)
class Row:
    """One figure of a benchmark's output; patterns are searched from the start, line by line.

    Args:
        what: is measured.
        ours: pattern of our figure: its first group.
        unit: of both figures.
        against: what ours is compared with; empty where there is no such thing.
        theirs: pattern of its figure.
        ratio: pattern of the printed ratio, which is a median over pairs of turns.
        limit: what the figure is close to, or why it is not close to anything.
    """

    what: str
    ours: str
    unit: str
    against: str = ""
    theirs: str = ""
    ratio: str = ""
    limit: str = ""


@dataclass(frozen=True)
class Benchmark:
    """A script of this folder with small arguments.

    Args:
        script: its name without `.py`.
        arguments: that make it take a minute at most on two cores.
        rows: the figures to table.
    """

    script: str
    arguments: tuple[str, ...]
    rows: tuple[Row, ...]


def _rating(database: str, *arguments: str) -> tuple[Benchmark, Benchmark]:
    """Raters at human pace, then as fast as they can."""
    limit = "Python's own lock: SQLAlchemy and Flask are most of the processor time"
    pace = (
        Row(f"200 raters, {database}: judgment, p99", rf"^judgment .* {NUMBER} +\S+$", "ms",
            limit="queueing for two cores; see docs/performance.md"),
        Row(f"200 raters, {database}: judgment, median", rf"^judgment +\S+ +{NUMBER}", "ms"),
        Row(f"200 raters, {database}: server's processor time", rf"^server: {NUMBER}",
            "ms a request", limit=limit),
    )  # fmt: skip
    fast = (
        Row(f"capacity, {database}", rf"\({NUMBER} a second\)", "judgments/s", limit=limit),
    )  # fmt: skip
    return (
        Benchmark("rating_load", arguments, pace),
        Benchmark(
            "rating_load", ("--pace", "0", "--raters", "16", "--seconds", "10", *arguments), fast
        ),
    )


_SMALL_MIXTURE = (
    "--codes", "20000", "--numbers", "100", "--components", "64", "--iterations", "10"
)  # fmt: skip
_TABLE_ROW = r"\| ([\d.]+) \|$"

BENCHMARKS: tuple[Benchmark, ...] = (
    Benchmark("train_step", ("--width", "8", "--pairs", "3"), (
        Row("training step, width 8, batch 8", rf"^ours +{NUMBER}", "clips/s",
            "plain eager port", rf"^port +{NUMBER}", rf"^ours / port: {NUMBER}",
            "memory traffic: layers of 8 channels cannot fill the multipliers"),
    )),
    Benchmark("input", ("--clips", "500", "--turns", "3"), (
        Row("input, shards to batches of 64", rf"^feed +{NUMBER}", "clips/s",
            limit="copying memory; 10,000 are wanted"),
        Row("input, as float32 on the CPU", rf"^feed, float32 +{NUMBER}", "clips/s",
            limit="four times the bytes; beside a GPU they are converted there"),
    )),
    Benchmark("generate", ("--clips", "1024", "--turns", "1"), (
        Row("generating to a folder, width 8", rf"^processes (?!1:)\d+: {NUMBER}", "clips/s",
            "one process", rf"^processes 1: {NUMBER}", rf"^ratio {NUMBER}",
            "all cores make and encode; starting processes takes three seconds"),
        Row("the encoder alone", rf"encoder {NUMBER} ms", "ms a clip"),
    )),
    Benchmark("mixture", _SMALL_MIXTURE, (
        Row("mixture, 64 full covariances, 20,000 codes of 100 numbers", rf"^ours +{NUMBER}", "s",
            "scikit-learn", rf"^scikit-learn +{NUMBER}", rf"^ratio +{NUMBER}",
            "the matrix products of the expectation step"),
    )),
    Benchmark("stabilize", ("--clips", "2"), (
        Row("stabilising a drawn wall", rf"drawn wall .* \S+ +{NUMBER} +\S+ +\S+ +\S+$",
            "frames/s a core", "the authors' procedure",
            rf"drawn wall .* {NUMBER} +\S+ +\S+ +\S+ +\S+$", rf"^ours / paper: {NUMBER}",
            "SIFT on the scaled-down frame"),
    )),
    Benchmark("ingest", ("--pairs", "1", "--drawn", "2"), (
        Row("ingest, two workers", rf"^2 worker\(s\): {NUMBER}", "clips/s",
            "one worker", rf"^1 worker\(s\): {NUMBER}",
            rf"^1 / 2 workers, seconds: {NUMBER}", "two cores; starting two processes"),
    )),
    Benchmark("stip", (), (
        Row("interest points, 64x64", rf"^64x64\S+ +native +{NUMBER}", "frames/s a core",
            limit="the scale-space filters; 25 is real time"),
        Row("interest points, 320x240", rf"^320x240\S+ +native +{NUMBER}", "frames/s a core"),
    )),
    Benchmark("table1", ("--large", "200000"), (
        Row("Table 1 with intervals, 12,984 judgments", rf"intervals \| 12,984 {_TABLE_ROW}", "s",
            "plain bootstrap loop, 1,000 draws", rf"bootstrap.*12,984 {_TABLE_ROW}",
            rf"plain loop takes {NUMBER} times", "a closed form: one pass over the counts"),
        Row("Table 1 with intervals, about 200,000 judgments",
            rf"intervals \| (?!12,984)\S+ {_TABLE_ROW}", "s"),
    )),
    Benchmark("coverage", ("--reps", "100", "--only", "truths", "--setting", "p=0.82"), (
        Row("95 % intervals of a cell hold the truth", rf"^\| \*\*ours\*\* \| {NUMBER}", "%",
            "binomial (Wilson)", rf"^\| Wilson \| {NUMBER}",
            limit="95; the Monte Carlo error of 100 rows is about 1"),
    )),
    Benchmark("dashboard", ("--judgments", "3000"), (
        Row("dashboard's page, 3,000 judgments, median", rf"^page `live` +median {NUMBER}", "ms"),
    )),
    *_rating("SQLite"),
    *_rating("PostgreSQL", "--postgres"),
    Benchmark("first_pair", ("--visits", "3"), (
        Row("first pair of sheets, 10 Mbit/s, 100 ms", rf"^first pair: median {NUMBER}", "ms",
            limit="seven answers one after the other, and 347 ms for two sheets of 217 kB"),
    )),
)  # fmt: skip
