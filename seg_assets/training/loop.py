"""The training loop: one function, `train`, to be read from top to bottom.

Everything that decides the weights is a function of the seed and the step: the order of the data
(`sampling.py`), the learning rate (`schedule.py`), and the chance inside the network, whose
generators are seeded anew before every micro-batch. So a run that was killed goes on from its last
save with the bits that it would have had.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs

from seg_assets.errors import TrainingError
from seg_assets.training.config import TrainConfig
from seg_assets.training.full_state import Progress, Trained, load_state
from seg_assets.training.metrics_rows import Clock, StepReport, evaluate_row, is_logged, train_row
from seg_assets.training.result import TrainResult
from seg_assets.training.run import Run, open_run
from seg_assets.training.sampling import micro_batches
from seg_assets.training.schedule import learning_rate, set_learning_rate
from seg_assets.training.step import loss_scaler, optimizer_step, seed_chance
from seg_assets.training.task import Task
from seg_assets.training.trackers import Tracker
from seg_assets.training.trainable import check_trainable, named_parameters
from seg_assets.training.weight_mean import WeightMean

_log = logging.getLogger(__name__)


def train(
    task: Task,
    config: TrainConfig,
    run_dir: str | Path,
    *,
    resume: bool = True,
    trackers: Sequence[Tracker] = (),
) -> TrainResult:
    """Train `task`, writing everything into `run_dir`; go on with the run there if there is one.

    Started by torchrun, the processes share each step's samples; rank 0 writes.

    Args:
        task: What is trained.
        config: How.
        run_dir: Folder of the run, on a local disk; see `run_folder.py`.
        resume: Whether a run that is there may be continued.
        trackers: Who gets the logged rows, besides those that the configuration names.

    Raises:
        TrainingError: No data, no targets, a loss that is not finite, or an optimizer that does not
            hold what the recipe lists.
        InputError: The folder holds another training.
        StoreError: The folder cannot be written, or another process trains there.
    """
    if len(task) == 0:
        raise TrainingError(f"{task.name} has no training samples: check its data and filters")
    accelerator = Accelerator(
        cpu=config.device == "cpu",
        device_placement=False,
        mixed_precision="no",  # `step.py` sees to it; an environment variable would rule else
        kwargs_handlers=[
            DistributedDataParallelKwargs(find_unused_parameters=not task.all_parameters_used)
        ],
    )
    device = torch.device("cpu") if config.device == "cpu" else accelerator.device
    processes = accelerator.num_processes
    with (
        _own_chance(device),
        open_run(task, config, run_dir, accelerator, resume=resume, trackers=trackers) as run,
    ):
        task.to(device)
        optimizers = task.optimizers(config)
        check_trainable(task.model, task.trainable(), optimizers)
        parameters = {n: p for n, p in named_parameters(task.model).items() if p.requires_grad}
        trained = Trained(
            model=task.model,
            parameters=parameters,
            optimizers=optimizers,
            scaler=loss_scaler(config, device),
            mean=WeightMean(parameters, config.ema) if config.ema is not None else None,
        )
        progress = trained.progress
        if run.resumes:
            load_state(run.folder, trained)
            _log.info("%s: going on after step %d of %d", task.name, progress.step, run.steps)
        network = accelerator.prepare_model(task, device_placement=False)
        per_step = config.global_batch(processes)
        limit = min(config.max_skipped, run.steps - 1)  # some step must have had an effect
        clock = Clock(progress.seconds)

        run.begin(progress.step)
        if config.evaluate_at_start and progress.step == 0:
            _evaluate(run, trained, 0.0, clock)

        todo = range(progress.step + 1, run.steps + 1)
        data = micro_batches(task, config, todo, accelerator.process_index, processes)
        task.train()
        for step in todo:
            clock.start_step()
            rate = learning_rate(config, step, run.steps)
            set_learning_rate(optimizers, rate)
            task.progress = (step - 1) / run.steps
            batches = list(islice(data, config.accumulate))
            report = optimizer_step(task, network, batches, trained, config, accelerator, step)
            _count(report, progress, limit, f"{task.name}, step {step}")
            clock.end_step(per_step)

            epoch = step * per_step / len(task)
            if report is not None:
                if is_logged(step, run.steps, config.first_logged, config.log_every):
                    pace = clock.images_per_second()
                    run.log(train_row(step, epoch, rate, report, pace, clock.seconds))
                run.tell(step, report)
            if step == run.steps or (config.evaluate_every and step % config.evaluate_every == 0):
                _evaluate(run, trained, epoch, clock)
                task.train()
            if step == run.steps or step % config.save_every == 0:
                progress.seconds = clock.seconds
                run.save(trained)

        return TrainResult(
            run_dir=run.folder.path,
            step=progress.step,
            metrics=run.metrics,
            best=run.best[0] if run.best else None,
            best_step=run.best[1] if run.best else None,
            skipped=progress.skipped,
            empty=progress.empty,
            seconds=progress.seconds,
        )


def _evaluate(run: Run, trained: Trained, epoch: float, clock: Clock) -> None:
    """Measure the weights that would be saved, always under the same chance."""
    task, step = run.task, trained.progress.step
    task.eval()
    seed_chance(run.config.seed, 0, 0, 0)
    with torch.no_grad(), trained.weights_to_keep():
        metrics = task.evaluate()
        run.evaluated_at(step, metrics)
    run.log(evaluate_row(step, epoch, metrics, clock.seconds))


def _count(report: StepReport | None, progress: Progress, limit: int, where: str) -> None:
    """Count the step, and refuse to go on where too many in a row were without effect."""
    progress.step += 1
    if report is not None and not report.skipped:
        progress.left_out = 0
        return
    progress.left_out += 1
    if report is None:
        progress.empty += 1
        why, advice = "no sample has a target", "check labels and filters"
    else:
        progress.skipped += 1
        why = f"the gradient is not finite (loss {report.loss:.4g})"
        advice = "start again with a lower lr, more warmup_steps, or bf16 or fp32"
    if progress.left_out > limit:
        raise TrainingError(f"{where}: {why}, for {progress.left_out} steps in a row; {advice}")
    _log.warning("%s: %s, so the weights stay as they are", where, why)


@contextmanager
def _own_chance(device: torch.device) -> Iterator[None]:
    """Give torch's global generators back as they were."""
    devices = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield
