"""What `vgan measure` prints: future runs against what happened, other runs beside real clips."""

from collections.abc import Callable
from pathlib import Path

import torch

from vgan.errors import UsageError
from vgan.figures.nearest import write_nearest
from vgan.metrics import prediction, tables
from vgan.metrics.embedding import open_embedder
from vgan.metrics.report import measure_runs
from vgan.training.folder import RunFolder


def report_measures(
    runs: tuple[Path, ...],
    data: Path | None = None,
    *,
    say: Callable[[str], None],
    n: int = 64,
    seed: int = 0,
    embedder: Path | None = None,
    pairs: Path | None = None,
    as_json: bool = False,
    device: torch.device,
) -> None:
    """Measure runs and say the report; then draw the pairs, whose failure costs no report.

    Args:
        runs: run folders; a future run alone.
        data: the clip folder compared with, each run's own by default.
        say: prints the report.
        n: clips of each run.
        seed: of the generated clips and of the resampling.
        embedder: TorchScript file for the Fréchet distance.
        pairs: PNG to draw the nearest training clips into.
        as_json: JSON instead of text.
        device: where the networks run.

    Raises:
        UsageError: a future run among several, or with options that are not for it; or there are
            no training clips to draw pairs with.
        CheckpointError: a run cannot be loaded.
        DataError: clips or the embedder cannot be read.
        WriteError: the picture cannot be written.
    """
    models = [RunFolder(run).read_config().model for run in runs]
    if "future" in models:
        number = models.index("future")
        future, others = runs[number], [*runs[:number], *runs[number + 1 :]]
        if others:
            raise UsageError(
                f"{future}: a future run is measured on its own; leave out "
                f"{', '.join(map(str, others))}"
            )
        if embedder or pairs:
            raise UsageError(f"{future}: a future run is measured without --embedder and --pairs")
        report = prediction.measure_prediction(future, data, n=n, device=device)
        say(prediction.to_json(report) if as_json else prediction.as_text(report))
        return
    opened = open_embedder(embedder, device)
    found = measure_runs(runs, data, n=n, seed=seed, embedder=opened, device=device)
    say(tables.to_json(found) if as_json else tables.as_text(found))
    if pairs:
        write_nearest(pairs, found)
