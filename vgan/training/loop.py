"""Train a network: a run folder in, a run folder further along out.

Everything that decides the weights is in the checkpoint (networks, optimisers, random states of
the latents and of the order of clips), so a run killed at any step and resumed ends with the same
weights, bit for bit on a CPU.
"""

import json
import logging
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from vgan.data.dataset import ClipDataset, open_dataset, to_model_range, to_uint8
from vgan.data.feed import Feed
from vgan.data.files import write_atomic
from vgan.errors import DataError, TrainingError, VganError, failure_of_device
from vgan.metrics.stillness import diversity
from vgan.models.layers import Streams
from vgan.training.checkpoint import (
    all_finite,
    checkpoint_config,
    fitting,
    load_checkpoint,
    restore_trainer,
    save_checkpoint,
)
from vgan.training.codes import components, fit_codes
from vgan.training.config import TrainConfig
from vgan.training.distributed import ALONE, World
from vgan.training.folder import RunFolder
from vgan.training.health import Health
from vgan.training.opening import alone_in, check_data, nothing_to_do, open_folder
from vgan.training.process import arithmetic, ctrl_c
from vgan.training.record import MetricsLog, Window, versions, write_settings
from vgan.training.sheets import Pixels, future_sheet, png_bytes, sheet_image
from vgan.training.steps import Trainer
from vgan.training.trainers import build_trainer
from vgan.training.tuning import settle

logger = logging.getLogger(__name__)

SHEET_ROWS = 8
KEPT_CHECKPOINTS = 2


class TrainingInterrupted(VganError):
    """The user stopped the run; the message says how to go on. Exit code 130."""

    exit_code = 130


def train(
    config: TrainConfig,
    data: Path,
    out: Path,
    *,
    resume: bool = False,
    device: torch.device | None = None,
    root: Path | None = None,
    world: World = ALONE,
) -> Path:
    """Train a network, or go on with a run that was stopped.

    Args:
        config: every setting of the run.
        data: the clip folder, or a text list of stacked clips.
        out: the run folder.
        resume: go on with the run in `out`, or start it if there is none.
        device: where the network is trained, the CPU by default.
        root: of a list's paths; see `vgan.data.stacked`.
        world: the processes that train together, each of which calls this; the first one writes.

    Returns:
        The run folder.

    Raises:
        UsageError: `out` has something in it and `resume` is off, or the settings or the data are
            not those the run was started with; or another process is training there.
        DataError: the clips cannot be read.
        CheckpointError: the checkpoint is damaged or of another model.
        TrainingError: a loss is no longer finite, the disk is full, or the device failed or has too
            little memory.
        TrainingInterrupted: Ctrl-C; the run is saved, unless that was the second one or came before
            the first step.
    """
    device = device or torch.device("cpu")
    folder = RunFolder(out)
    if not world.is_first:
        world.wait()  # until the first has begun or opened the run, and decoded its clips
        resume = True
    config = open_folder(folder, config, resume)
    if nothing_to_do(folder, config, data, root):
        if world.is_first:
            world.wait()
        return out
    with alone_in(folder) if world.is_first else nullcontext():
        world.rows(config.batch)  # before anything is written
        dataset = open_dataset(data, config.category, root=root, progress=world.is_first)
        if world.is_first:
            check_data(folder, config, data, dataset.records, dataset.skipped, root)
            write_settings(folder, config, versions(device))
            world.wait()
        try:
            with arithmetic(device):
                _Session(config, folder, dataset, device, world).run()
        except KeyboardInterrupt:  # before the first step, or a second one, which does not wait
            raise TrainingInterrupted(f"interrupted; {_how_to_go_on(config, folder)}") from None
        except RuntimeError as error:
            if failure := failure_of_device(error):
                smaller = "or take a smaller --batch in a new run"
                raise TrainingError(f"{failure}; {_safe(folder)}, {smaller}") from error
            raise
    logger.info("%s: finished at step %d", out, config.steps)
    return out


def _how_to_go_on(config: TrainConfig, folder: RunFolder) -> str:
    return f"to go on: vgan train {config.model} --out {folder.path} --resume"


def _safe(folder: RunFolder) -> str:
    steps = folder.saved_steps()
    if not steps:
        return "no checkpoint was saved yet: start again"
    path = folder.checkpoint(steps[-1])
    return f"the last good checkpoint is {path}: go on from it with --resume"


class _Session:
    """One process's part of a run."""

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        dataset: ClipDataset,
        device: torch.device,
        world: World,
    ) -> None:
        self.config, self.folder, self.dataset, self.device = config, folder, dataset, device
        self.world, self.rows = world, world.rows(config.batch)
        mean_frame = torch.as_tensor(dataset.mean_frame())
        choice = settle(
            lambda: build_trainer(config, mean_frame, device),
            config, self.rows.stop - self.rows.start, device, folder.forms, world,
        )  # fmt: skip
        self.trainer: Trainer = build_trainer(config, mean_frame, device, world, choice)
        self.clip_order = np.random.default_rng(config.seed)
        self.health = Health()
        self.step = 0
        # Settled before training, so that too few clips are not found out after days.
        self.gaussians = components(config, len(dataset)) if config.model == "autoencoder" else 0
        self.window = Window()
        self._restore()
        self.sheet_input = self._sheet_input()

    def run(self) -> None:
        """Train to the last step, then fit the mixture where the model has one."""
        if not self.world.is_first:
            with ctrl_c() as stopped:  # it comes to every process, and none may leave before all do
                self._train(None, stopped, self._progress())
            return
        if self.step < self.config.steps:
            self.folder.mixture.unlink(missing_ok=True)  # of an earlier end, before more steps
        log = MetricsLog(self.folder, self.step)
        try:
            with ctrl_c() as stopped, self._progress() as bar:
                self._train(log, stopped, bar)
            if self.config.model == "autoencoder":
                network = self.trainer.sampler()
                fit_codes(network, self.dataset, self.folder, self.config, self.gaussians)
        except (OSError, DataError) as error:
            raise TrainingError(f"{error}; {_safe(self.folder)}") from error
        finally:
            with suppress(OSError):  # a full disk has been reported already
                log.close()
        for warning in log.warnings:
            logger.warning("%s", warning)

    def _train(self, log: MetricsLog | None, stopped: Callable[[], bool], bar: "tqdm[Any]") -> None:
        """Train to the last step; a process without a log only lends its hands."""
        given = self.dataset, self.config.batch, self.clip_order, self.rows, self.device
        with Feed(*given, on_card=self.world.on_card) as feed:
            self._train_on(feed, log, stopped, bar)

    def _train_on(
        self, feed: Feed, log: MetricsLog | None, stopped: Callable[[], bool], bar: "tqdm[Any]"
    ) -> None:
        config = self.config
        while self.step < config.steps:
            self.step += 1
            self.window.add(self.step, self.trainer.step(to_model_range(feed.take())))
            bar.update()
            leave = self._is_stopped(stopped)
            last = self.step == config.steps
            save = leave or last or self.step % config.checkpoint_every == 0
            sample = last or self.step % config.sample_every == 0
            if save or sample or self.step % config.log_every == 0:
                self._log(log, bar)
            if sample and log is not None:
                self._sample(log)
            if save and log is not None:
                self._save(log)
            if leave and not last:
                # Who leaves while the first one saves would be taken for failed, and it be ended.
                self.world.wait()
                raise TrainingInterrupted(
                    f"stopped at step {self.step} of {config.steps}; "
                    f"{_how_to_go_on(config, self.folder)}"
                )

    def _is_stopped(self, stopped: Callable[[], bool]) -> bool:
        """Whether to leave; several processes ask each other seldom, for they wait to do it."""
        if self.world.size > 1 and self.step % self.config.log_every:
            return False
        return self.world.any_of(stopped(), self.device)

    def _log(self, log: MetricsLog | None, bar: "tqdm[Any]") -> None:
        means, bad_step = self.window.read()
        if self.world.any_of(bad_step > 0, self.device):
            where = f"at step {bad_step}" if bad_step else "in another process"
            raise TrainingError(self._not_finite(f"a loss is not finite {where}"))
        means = self.world.means(means, self.device)
        if log is None:
            return
        log.write(self.step, means, self.health.see_metrics(self.step, means))
        bar.set_postfix(
            {k: f"{v:.3f}" for k, v in means.items() if k.startswith("loss") and k.count("_") < 2}
        )

    def _sample(self, log: MetricsLog) -> None:
        streams, picture = self._sheet()
        sheet = png_bytes(picture, {"step": str(self.step)})
        write_atomic(self.folder.samples / f"step-{self.step:06d}.png", sheet)
        write_atomic(self.folder.sheet, sheet)
        spread = diversity(to_uint8(streams.clip))
        values = {"sample_diversity": spread}
        if streams.mask is not None:
            values["sample_mask_mean"] = float(streams.mask.float().mean())
        log.write(self.step, values, self.health.see_samples(self.step, self.config, spread))

    def _save(self, log: MetricsLog) -> None:
        log.flush()
        trainer = self.trainer.state_dict()
        if not all_finite(trainer):
            raise TrainingError(self._not_finite(f"the weights are not finite at step {self.step}"))
        if self.health.good:
            self.health.last_good = self.step
        state = {
            "config": asdict(self.config),
            "step": self.step,
            "trainer": trainer,
            # As text: the generator's numbers have 128 bits, more than a tensor's.
            "clip_order": json.dumps(self.clip_order.bit_generator.state),
            "health": self.health.to_dict(),
        }
        save_checkpoint(self.folder.checkpoint(self.step), state)
        keep = set(self.folder.saved_steps()[-KEPT_CHECKPOINTS:])
        if self.health.last_good is not None:
            keep.add(self.health.last_good)
        self.folder.prune(keep)

    def _restore(self) -> None:
        """Take up the newest checkpoint, where there is one."""
        steps = self.folder.saved_steps()
        if not steps:
            return
        path = self.folder.checkpoint(steps[-1])
        state = load_checkpoint(path)
        checkpoint_config(state, path, self.config.model)
        restore_trainer(self.trainer, state, path)
        with fitting(path):
            self.clip_order.bit_generator.state = json.loads(state["clip_order"])
            self.health = Health(**state["health"])
            self.step = int(state["step"])
        logger.info("%s: resumed at step %d", self.folder.path, self.step)

    def _sheet_input(self) -> Tensor:
        """Return what every sheet of this run shows: latents (B, latent), or clips to work from."""
        if self.config.model in ("autoencoder", "future"):
            rows = np.linspace(0, len(self.dataset.clips) - 1, SHEET_ROWS).round().astype(int)
            clips = torch.from_numpy(np.stack([self.dataset.clips[row] for row in rows]))
            return to_model_range(clips.to(self.device))
        generator = torch.Generator().manual_seed(self.config.seed)
        return torch.randn(SHEET_ROWS, self.config.latent, generator=generator).to(self.device)

    def _sheet(self) -> tuple[Streams, Pixels]:
        """Return the sheet's clips and the sheet."""
        network: Any = self.trainer.sampler()
        given = self.sheet_input
        with torch.no_grad():
            if self.config.model == "autoencoder":
                streams = network.streams(network.encode(given))
                return streams, sheet_image(streams, given)
            if self.config.model == "future":
                streams = network.streams(given[:, :, 0])
                return streams, future_sheet(streams, given)
            streams = network.streams(given)
            return streams, sheet_image(streams)

    def _progress(self) -> "tqdm[Any]":
        return tqdm(
            total=self.config.steps,
            initial=self.step,
            desc=f"{self.config.model} on {self.config.category}",
            unit="step",
            disable=not self.world.is_first,
            mininterval=0.1 if sys.stderr.isatty() else 30.0,
        )

    def _not_finite(self, what: str) -> str:
        other = "with another --seed or --dtype float32"
        return f"{what} (NaN or infinite); {_safe(self.folder)}, {other}"
