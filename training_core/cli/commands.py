"""What each subcommand of `g2g` does; torch is imported only where it is needed."""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_core.areas import Area
from training_core.batch.outputs import Existing, check_outputs, refuse_existing, reserved
from training_core.batch.stacks import EVERY, Batch, Form, Result, open_noted
from training_core.batch.work import keep_model, train_on_each, use_model
from training_core.compute.memory import keep_memory
from training_core.errors import InputError, ModelError, SettingsError, UsageError
from training_core.formats.file_image import FileImage
from training_core.io.readers import list_images, open_stack
from training_core.reporting.words import tell_card
from training_core.run import Run
from training_core.settings import PatchSettings, Settings, preset
from training_core.stack import Image, Stack, check_trainable

from .answer import DONE, INTERNAL_ERROR, answer

if TYPE_CHECKING:
    from training_core.batch.stacks import WorkFor

CHOSEN = (
    "doubted",
    "noise",
    "heavy_tails",
    "first_estimate",
    "neighbours",
    "recorded_pairs",
    "chosen_round",
    "last_pass",
)


def info(arguments: argparse.Namespace, run: Run) -> int:
    """Say what a stack holds."""
    from training_core.quality.noise_level import SMALLEST_WINDOW_PX, sigma_in
    from training_core.reporting.noise_analysis import analyse_noise, tell

    keep_memory()  # pages that are fresh each time took a fifth of the time
    every = arguments.series is None or arguments.series.lower() == EVERY
    stack = open_noted(arguments.stack, run, None if every else arguments.series, arguments.axes)
    images = list_images(arguments.stack) if stack.series else []
    size = stack.pixel_size
    seen: list[Image] = []  # the same frames tell both
    noise = analyse_noise(stack, seen=seen)
    facts = {
        "path": arguments.stack,
        "axes": stack.axes,
        "shape": stack.shape,
        "dtype": stack.dtype.name,
        "pixel_size_um": {"x": size.x_um, "y": size.y_um, "z": size.z_um},
        "time_step_s": stack.time_step_s,
        "channels": stack.channels,
        "value_unit": stack.value_unit,
        "kind": stack.kind,
        "frames": stack.frame_count,
        "noise_sigma": sigma_in(seen) if min(stack.frame_shape) >= SMALLEST_WINDOW_PX else None,
        "noise": [n.to_dict() for n in noise] if arguments.json else "\n  ".join(map(tell, noise)),
        "would_be_used": _use(stack),
        "series": stack.series,
        "images": _listed(images, arguments.json),
        "warnings": (*stack.warnings, *_doubt(stack)),
    }
    return answer(facts, arguments.json)


def _doubt(stack: Stack) -> list[str]:
    """Say how to name axes that nobody has named."""
    if not stack.doubtful:
        return []
    named = [stack.axes.replace("I", letter) for letter in "ZTC" if letter not in stack.axes]
    ways = " or ".join(dict.fromkeys(named)) or stack.axes
    return [
        f"Nothing says what its axes {stack.axes} are; the option --axes tells, such as {ways}."
    ]


def _one_series(arguments: argparse.Namespace) -> str | None:
    """Give the image that is asked for, where a command takes one."""
    series: str | None = arguments.series
    if series is not None and series.lower() == EVERY:
        raise UsageError(
            f"g2g {arguments.command} takes one image; give its number or its name with --series."
        )
    return series


def _listed(images: Sequence[FileImage], as_json: bool) -> list[dict[str, Any]] | str:
    """List the images of a file that holds several."""
    several = enumerate(images, 1) if len(images) > 1 else ()
    if not as_json:
        return "\n  ".join(f"{number}: {image.told}" for number, image in several)
    return [
        {"number": number, "name": i.name, "axes": i.axes, "shape": i.shape, "dtype": str(i.dtype)}
        for number, i in several
    ]


def _use(stack: Stack) -> str:
    height, width = stack.frame_shape
    try:
        check_trainable(stack)
    except InputError as error:
        return f"nothing: {error}"
    frames = "the frame" if stack.frame_count == 1 else f"all {stack.frame_count} frames"
    return f"{frames} of {width} x {height} pixels"


def patches(arguments: argparse.Namespace, run: Run) -> int:
    """Find the smooth patches of a stack."""
    from training_core.patches.purity import judged_patches

    settings = _patch_settings(arguments)
    check_outputs([arguments.figure], [arguments.stack])
    stack = open_noted(arguments.stack, run, _one_series(arguments), arguments.axes)
    found = judged_patches(stack, settings, run=run)
    if arguments.figure:
        from training_core.reporting.figures import patches_figure

        patches_figure(stack, found, arguments.figure, overwrite=arguments.overwrite)
    facts = {
        "count": found.count,
        "strictness": "auto" if found.strictness is None else found.strictness,
        "target": found.target,
        "patch_size": found.patch_size_px,
        "stride": found.stride_px,
        "coverage": found.coverage,
        "verdict": found.verdict.level,
        "advice": found.verdict.sentence,
    }
    return answer(facts, arguments.json)


def _patch_settings(arguments: argparse.Namespace) -> PatchSettings:
    """Give the settings asked for; with a strictness the published patch size and stride."""
    automatic = arguments.strictness == "auto"
    try:
        strictness = None if automatic else float(arguments.strictness)
    except ValueError:
        raise UsageError(
            f"Strictness is {arguments.strictness!r}; give auto or a number such as 0.05."
        ) from None
    size, stride = (32, 8) if automatic else (96, 24)
    return PatchSettings(
        strictness,
        size if arguments.size is None else arguments.size,
        stride if arguments.stride is None else arguments.stride,
        areas=tuple(map(Area.of, arguments.area)),
    )


def compare(arguments: argparse.Namespace, run: Run) -> int:
    """Measure what a denoiser did, against a reference where there is one."""
    from training_core.quality.measures import assess, compare_with_reference

    if arguments.window and not arguments.reference:
        raise UsageError("--window is for the comparison with a clean stack; add --reference.")
    if arguments.window and not -math.inf < arguments.window[0] < arguments.window[1] < math.inf:
        raise UsageError("--window takes two numbers, the first below the second.")
    read = (arguments.noisy, arguments.denoised, arguments.reference)
    check_outputs([arguments.figure], filter(None, read))
    noisy, denoised = open_noted(arguments.noisy, run), open_noted(arguments.denoised, run)
    facts: dict[str, Any] = dict.fromkeys(("psnr", "ssim", "nrmse", "data_range"))
    reference = None
    if arguments.reference:
        reference = open_noted(arguments.reference, run)
        window = tuple(arguments.window) if arguments.window else None
        facts |= asdict(compare_with_reference(denoised, reference, window=window, run=run))
    facts |= asdict(assess(noisy, denoised))
    if arguments.figure:
        from training_core.reporting.figures import comparison_figure

        overwrite = arguments.overwrite
        comparison_figure(noisy, denoised, reference, arguments.figure, overwrite=overwrite)
    return answer(facts, arguments.json)


def train(arguments: argparse.Namespace, run: Run) -> int:
    """Train one denoiser on all stacks that can be opened."""
    existing = Existing(arguments.overwrite, arguments.resume)
    if existing.is_finished(arguments.model):
        return _kept(arguments, run)
    check_outputs([arguments.model], [*arguments.stacks, *arguments.repeats])
    with existing.checkpoint(arguments.model, run) as checkpoint:
        overwrite = existing.overwrite or checkpoint.exists
        refuse_existing(arguments.model, overwrite=overwrite)
        stacks, failed = Batch.of(arguments.stacks, arguments.series, arguments.axes).open_all(run)
        if not stacks:
            raise InputError(f"None of the stacks can be used; the first: {failed[0].error}")

        from training_core.pipeline import train as train_on

        repeats = [open_noted(path, run, None, arguments.axes) for path in arguments.repeats]
        settings = _settings(arguments)
        denoiser = train_on(
            stacks, settings, run=run, checkpoint=checkpoint, repeats=repeats
        ).denoiser
        names = not arguments.no_source_names
        keep_model(denoiser, arguments.model, overwrite=overwrite, names=names)
    facts = _training_facts(denoiser.card, arguments) | {"failed": failed}
    return answer(facts, arguments.json, failed)


def _kept(arguments: argparse.Namespace, run: Run) -> int:
    """Tell of a model that an earlier command finished."""
    from training_core.denoise.model_file import load_denoiser

    run.note(f"{arguments.model} is finished already and kept.")
    card = load_denoiser(arguments.model, device="cpu").card
    facts = _training_facts(card, arguments) | {"preset": card.get("preset"), "failed": []}
    return answer(facts, arguments.json)


def run_all(arguments: argparse.Namespace, run: Run) -> int:
    """Train on each stack and denoise it: the main job."""
    settings, batch = (
        _settings(arguments),
        Batch.of(arguments.stacks, arguments.series, arguments.axes),
    )
    if arguments.model and not batch.alone:
        raise UsageError("With several stacks each has its own model; leave --model out.")
    if arguments.repeats and not batch.alone:
        raise UsageError("Repeats are exposures of one scene; give one stack with --repeats.")
    if arguments.model and os.path.abspath(arguments.model) == os.path.abspath(arguments.output):
        raise UsageError("Model and result need two names; change --model or --output.")
    check_outputs([arguments.model], [*arguments.stacks, *arguments.repeats])

    work_for = partial(
        train_on_each,
        settings,
        repeats=[path.absolute() for path in arguments.repeats],
        axes=arguments.axes,
        model=arguments.model and arguments.model.absolute(),
        overwrite=arguments.overwrite,
        names=not arguments.no_source_names,
    )
    with reserved(arguments.model) if arguments.model else nullcontext():
        results, told = _denoised(arguments, batch, work_for, run)
    # The training of each stack; the stable keys at the top are those of the last one.
    facts = _training_facts({"seed": settings.seed}, arguments) | {"trainings": []}
    for result in results:
        if result.made:
            made = _training_facts(result.made, arguments)
            facts |= made
            facts["trainings"].append({"input": result.input} | made)
    return answer(facts | told, arguments.json, results)


def denoise(arguments: argparse.Namespace, run: Run) -> int:
    """Denoise stacks with a trained model."""
    batch = Batch.of(arguments.stacks, arguments.series, arguments.axes)
    if arguments.model == Path("dncnn-b") and not arguments.model.exists():
        raise ModelError(
            "DnCNN-B is no model of this program any more; without training use "
            "g2g run --preset instant."
        )
    work_for = partial(use_model, arguments.model.absolute(), arguments.device)
    results, told = _denoised(arguments, batch, work_for, run)
    return answer(told, arguments.json, results)


def export_model(arguments: argparse.Namespace, run: Run) -> int:
    """Write the network of a kept denoiser for other programs."""
    from training_core.denoise.model_file import load_denoiser
    from training_core.denoise.portable import LEFT_OUT
    from training_core.reporting.bioimageio import export_bioimageio

    check_outputs([arguments.bioimageio], [arguments.model, arguments.stack])
    denoiser = load_denoiser(arguments.model, device="cpu")
    stack = open_noted(arguments.stack, run, _one_series(arguments), arguments.axes)
    export_bioimageio(denoiser, stack, arguments.bioimageio, overwrite=arguments.overwrite)
    return answer({"package": arguments.bioimageio, "leaves_out": LEFT_OUT}, arguments.json)


def evaluate(arguments: argparse.Namespace, run: Run) -> int:
    """Run published benchmarks again, with our figures beside the published ones."""
    from .evaluate import evaluate_tables, list_tables

    if arguments.list or arguments.tables == ["list"]:
        return list_tables(arguments)
    return evaluate_tables(arguments, run)


def self_test(arguments: argparse.Namespace, run: Run) -> int:
    """Check the installation and the device."""
    from .self_test import self_test as check

    results = check(run=run)
    lines = (f"{'ok    ' if good else 'FAILED'}  {name}: {told}" for name, good, told in results)
    answer({}, as_json=False, text="\n".join(lines))
    return DONE if all(good for _, good, _ in results) else INTERNAL_ERROR


COMMANDS = {
    "info": info,
    "patches": patches,
    "train": train,
    "run": run_all,
    "denoise": denoise,
    "export-model": export_model,
    "compare": compare,
    "evaluate": evaluate,
    "self-test": self_test,
}


def _denoised(
    arguments: argparse.Namespace, batch: Batch, work_for: WorkFor, run: Run
) -> tuple[list[Result], dict[str, Any]]:
    """Denoise a batch, here or elsewhere, and score it where there is a reference.

    Also give what there is to tell of that.
    """
    from training_core.quality.measures import compare_with_reference

    if arguments.reference and not batch.alone:
        raise UsageError("A reference is of one scene; give one stack with --reference.")
    started, facts = time.monotonic(), dict[str, Any]()
    clean = open_noted(arguments.reference, run) if arguments.reference else None
    if clean is not None:  # one of another size is refused before the long part
        (each,) = batch.inputs
        stack = open_stack(each.path, series=each.series, axes=batch.axes, run=run)
        noisy = compare_with_reference(stack, clean, run=run)
        facts |= {"psnr_noisy": noisy.psnr, "ssim_noisy": noisy.ssim}
    results = _batch(arguments, batch, work_for, run)
    if clean is not None and results[0].output is not None:
        written = open_noted(Path(results[0].output), run)
        facts |= asdict(compare_with_reference(written, clean, run=run))
    return results, facts | {"seconds": time.monotonic() - started, "outputs": results}


def _batch(
    arguments: argparse.Namespace, batch: Batch, work_for: WorkFor, run: Run
) -> list[Result]:
    """Denoise a batch, here or on the workers of a scheduler."""
    beside = arguments.model, arguments.reference, *getattr(arguments, "repeats", ())
    names = not arguments.no_source_names
    how: dict[str, Any] = {
        "run": run,
        "existing": Existing(arguments.overwrite, arguments.resume),
        "form": Form(arguments.dtype == "float32", arguments.compression, names),
        "beside": [path for path in beside if path],
    }
    if arguments.scheduler is None:
        return batch.denoise(arguments.output, work_for(run), **how)
    try:
        from training_core.cluster.stacks import denoise_elsewhere
        from training_core.cluster.workers import connected
    except ModuleNotFoundError as error:
        raise UsageError(
            f'--scheduler needs {error.name}: pip install "g2g-desktop[cluster]".'
        ) from error
    in_tiles = arguments.command == "denoise" and batch.alone
    how["tiles_on"] = arguments.device if in_tiles else None
    with connected(arguments.scheduler, run) as workers:
        return denoise_elsewhere(workers, batch, arguments.output, work_for, **how)


def _settings(arguments: argparse.Namespace) -> Settings:
    chosen = preset(arguments.preset, seed=arguments.seed, device=arguments.device)
    chosen = with_options(chosen, getattr(arguments, "set", []))
    areas = tuple(map(Area.of, getattr(arguments, "area", [])))
    return replace(chosen, patches=replace(chosen.patches, areas=areas))


def _training_facts(card: Mapping[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Give the stable keys of a training from the card of its denoiser."""
    kept = {key: card.get(key) for key in ("device", "seconds", "seed", "patches", "rounds")}
    if arguments.json:
        kept |= {key: card[key] for key in CHOSEN if key in card}
    else:
        del kept["rounds"]
        told = (f"\n  {fact.name}: {fact.sentence}" for fact in tell_card(card))
        kept["learned and chosen"] = "".join(told)
    return {"model": arguments.model, "preset": arguments.preset} | kept


def with_options(settings: Settings, options: Sequence[str]) -> Settings:
    """Change settings by options such as denoiser.every_orientation=true.

    Later ones win. A value is a JSON number, true, false, null (automatic), or a word. Raises
    `SettingsError` if one is no NAME=VALUE, names no setting, or has a value that is not allowed.
    """
    values, known = settings.to_dict(), setting_names(settings)
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or name not in known:
            raise SettingsError(
                f"There is no setting for {option!r}; write NAME=VALUE with one of the names "
                f"{', '.join(sorted(known))}."
            )
        part, _, field = name.rpartition(".")
        (values[part] if part else values)[field] = _value(value)
    return Settings.from_dict(values)  # all at once, since some go only together


def setting_names(settings: Settings) -> list[str]:
    """Give the names of all settings, those of parts after the part's name and a dot."""
    names: list[str] = []
    for name, value in settings.to_dict().items():
        names += [f"{name}.{field}" for field in value] if isinstance(value, dict) else [name]
    names.remove("preset")  # which says where all the others began
    return names


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or what it is read by gives up
        return text
