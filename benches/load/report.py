"""Results as a table in Markdown and as pictures."""

import statistics


def table(results):
    """A row for each job and side: medians, and the ratio of CPU time to ours, round by round."""
    lines = [
        "| job | side | req/s | p50 µs | p99 µs | p99.9 µs | CPU µs/request | MiB | Airside's CPU, times |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for job, sides in results.items():
        for side, runs in sides.items():
            middle = {key: median(runs, key) for key in KEYS}
            lines.append(
                f"| {job} | {side} | {middle['rate']:.0f} | {middle['p50_us']:.0f} | {middle['p99_us']:.0f} "
                f"| {middle['p999_us']:.0f} | {middle['cpu_us']:.1f} | {middle['rss_kib'] / 1024:.0f} | {ratio(sides, side)} |"
            )
    return "\n".join(lines)


def ratio(sides, side):
    """What ours takes of what this side takes: the median of the rounds' ratios, and their range."""
    if side == "airside" or "airside" not in sides:
        return ""
    return paired(sides["airside"], sides[side])


# What each run measures; some measure more.
KEYS = ["rate", "cpu_us", "p50_us", "p99_us", "p999_us", "rss_kib"]


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def paired(ours, theirs, key="cpu_us"):
    """The median of neighbouring runs' ratios, and their range."""
    pairs = [one[key] / other[key] for one, other in zip(ours, theirs)]
    return f"{statistics.median(pairs):.2f} [{min(pairs):.2f}–{max(pairs):.2f}]"


def plots(run, out):
    """CPU a request by side, a bar each, beside the results' file."""
    jobs = [job for job in ["full HS256", "full RS256", "full ES256", "plain"] if job in run["results"]]
    bars = [(job, side, statistics.median(r["cpu_us"] for r in runs))
            for job in jobs for side, runs in run["results"][job].items() if side != "express"]
    if not bars:
        return
    most = max(value for *_, value in bars)
    rows, y, last = [], 10, None
    for job, side, value in bars:
        y += 14 if job != last and last else 0
        last = job
        fill = "#1f6feb" if side == "airside" else "#8b949e"
        rows.append(
            f'<text x="150" y="{y + 13}" text-anchor="end">{job}, {side}</text>'
            f'<rect x="160" y="{y}" width="{400 * value / most:.0f}" height="17" fill="{fill}"/>'
            f'<text x="{166 + 400 * value / most:.0f}" y="{y + 13}">{value:.1f}</text>'
        )
        y += 21
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {y + 10}" font-family="sans-serif" font-size="12">'
        f'<title>CPU time a request, µs</title><rect width="100%" height="100%" fill="white"/>{"".join(rows)}</svg>\n'
    )
    out.with_suffix(".svg").write_text(picture)
