"""Measurements as Markdown tables."""

import statistics

GIB = 2**30


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def number(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def of_phase(measurement, name, field):
    phase = measurement.phases.get(name)
    return None if phase is None else getattr(phase, field)


def per_step(measurement, field):
    phase = measurement.phases.get("denoise")
    return getattr(phase, field) / phase.steps if phase and phase.steps else None


COLUMNS = {
    "wall s": lambda m: m.wall_s,
    "CPU s": lambda m: m.cpu_s,
    "cores had": lambda m: m.cores,
    "s/step": lambda m: per_step(m, "wall_s"),
    "CPU s/step": lambda m: per_step(m, "cpu_s"),
    "decode s": lambda m: of_phase(m, "decode", "wall_s"),
    "decode CPU s": lambda m: of_phase(m, "decode", "cpu_s"),
    "peak RSS GiB": lambda m: m.peak_rss / GIB,
    "anonymous GiB": lambda m: m.peak.anonymous / GIB,
    "file pages GiB": lambda m: m.peak.file / GIB,
}


def by_program(results):
    programs = {}
    for name, measurement in results:
        programs.setdefault(name, []).append(measurement)
    return programs


def ratio_row(peer, medians):
    cells = [number(b / a) if a and b else "-" for a, b in zip(medians["sora"], medians[peer], strict=True)]
    cells[list(COLUMNS).index("cores had")] = "-"
    return [f"{peer} / sora", "medians", *cells]


def runs_table(results):
    """Every run, the medians, and the medians of the others over sora's."""
    rows, count = [], {}
    for name, measurement in results:
        count[name] = count.get(name, 0) + 1
        rows.append([name, count[name], *(number(value(measurement)) for value in COLUMNS.values())])
    programs = by_program(results)
    medians = {name: [median(map(value, runs)) for value in COLUMNS.values()] for name, runs in programs.items()}
    rows += [[name, "median", *map(number, values)] for name, values in medians.items()]
    if "sora" in medians:
        rows += [ratio_row(peer, medians) for peer in medians if peer != "sora"]
    return table(["program", "run", *COLUMNS], rows)


def phases_table(results):
    """Median wall and CPU seconds of each phase; the rest is start, planning and the file's end."""
    programs = by_program(results)
    names = []
    for runs in programs.values():
        names += [name for name in runs[0].phases if name not in names]
    header = ["phase", *(f"{program} {what} s" for program in programs for what in ("wall", "CPU"))]
    rows = []
    for name in names:
        cells = [number(median(of_phase(run, name, field) for run in runs))
                 for runs in programs.values() for field in ("wall_s", "cpu_s")]  # fmt: skip
        rows.append([name, *cells])
    rest = []
    for runs in programs.values():
        rest.append(number(median(run.wall_s - sum(phase.wall_s for phase in run.phases.values()) for run in runs)))
        rest.append(number(median(run.cpu_s - sum(phase.cpu_s for phase in run.phases.values()) for run in runs)))
    rows.append(["rest", *rest])
    return table(header, rows)


def mappings_table(results):
    """Where resident memory lay before the last denoising step, medians."""
    programs = by_program(results)
    kinds = {kind for runs in programs.values() for run in runs for kind in run.mappings}
    rows = [
        [kind, *(number(median(run.mappings.get(kind, 0) / GIB for run in runs)) for runs in programs.values())]
        for kind in sorted(kinds)
    ]
    return table(["resident, GiB", *programs], rows)
