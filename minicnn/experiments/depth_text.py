"""What the depth experiment found, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from minicnn.experiments.depth_picture import Signals
from minicnn.experiments.signals import LayerSignal
from minicnn.experiments.trials import OURS, THESIS, Trial


def markdown(
    title: str, signals: Signals, spreads: dict[str, dict[str, float]], trials: Sequence[Trial]
) -> str:
    """The whole report; ``spreads`` are the logits' at the start, network -> setting."""
    parts = [f"# {title}", "![signal by depth and short trainings](depth.png)"]
    for network, settings in signals.items():
        parts.append(f"## {network}: one batch at the start")
        parts += [_shrinking(name, rows, spreads[network][name]) for name, rows in settings.items()]
        parts += [f"{name.capitalize()}:\n\n{_layers(rows)}" for name, rows in settings.items()]
    if trials:
        parts += ["## Short trainings", _trials(trials), _verdict(trials)]
    return "\n\n".join(parts) + "\n"


def _shrinking(setting: str, rows: Sequence[LayerSignal], spread: float) -> str:
    first, last = rows[0], rows[-1]
    return (
        f"- {setting}: activations go from {first.activation:.2g} after {first.layer} to "
        f"{last.activation:.2g} after {last.layer}, the gradient from {last.gradient:.2g} there to "
        f"{first.gradient:.2g}; {first.layer}'s first step is {first.update:.1g} of its weights "
        f"and changes {first.changed:.1%} of them; logits of different images differ by "
        f"{spread:.2g}."
    )


def _layers(rows: Sequence[LayerSignal]) -> str:
    lines = [
        "| layer | layers with weights passed | activations | between images | gradient | "
        "step / weights | weights changed | dead channels |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row.layer} | {row.depth} | {row.activation:.2e} | {row.between:.2e} | "
        f"{row.gradient:.2e} | {row.update:.1e} | {row.changed:.1%} | {row.dead:.1%} |"
        for row in rows
    ]
    return "\n".join(lines)


def _trials(trials: Sequence[Trial]) -> str:
    lines = [
        f"{len(trials[0].excess)} steps each on the same batches; then the test images. One and "
        "the same answer for all images, the best there is, has a class-weighted loss of "
        f"{trials[0].blind:.4f}.",
        "",
        "| start | loss on test images | spread of the logits | classes answered | "
        "classes shut off by the last ReLU | top-1 | balanced | free |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    lines += [
        f"| {trial.name} | {trial.loss:.4f} | {trial.spread:.2e} | {trial.answers} | "
        f"{trial.shut} | "
        f"{trial.top1:.3f} | {trial.balanced:.3f} | {'yes' if trial.free else 'no'} |"
        for trial in trials
    ]
    return "\n".join(lines)


def _verdict(trials: Sequence[Trial]) -> str:
    """Which changes free the network, in a sentence."""
    free = [trial.name for trial in trials if trial.free]
    within = f"Within {len(trials[0].excess)} steps"
    if THESIS in free:
        return f"{within} the start {THESIS} is no trap for this network at this size."
    if not free:
        return f"{within} no start frees the network: give --steps a larger number."
    alone = [name for name in free if name != OURS]
    which = f"of the single changes: {', '.join(alone)}" if alone else "no single change does"
    everything = f"{OURS} free it" if OURS in free else f"not {OURS}, oddly"
    return f"{within} the network {THESIS} stays stuck; {everything}; {which}."
