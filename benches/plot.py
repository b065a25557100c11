"""Lines through measured points, as a picture in SVG. Text, so that a difference can be read."""

import math

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 360, 70, 50
COLOURS = ["#1f6feb", "#d1242f", "#1a7f37", "#8250df", "#9a6700", "#57606a"]


def lines(path, title, across, up, series, logarithmic=False):
    """`series`: points by name; with `logarithmic` each step across is ten times the one before, and so is each up,
    or only one of them: `across`, `up`."""
    tens, even = (lambda value: math.log10(max(value, 1e-9))), (lambda value: value)
    scale_x, scale = (tens if logarithmic in (True, "across") else even), (tens if logarithmic in (True, "up") else even)
    logarithmic = logarithmic in (True, "up")
    points = [point for line in series.values() for point in line]
    low_x, high_x = (scale_x(f(x for x, _ in points)) for f in (min, max))
    low_y = scale(min(y for _, y in points)) if logarithmic else 0
    high_y = scale(max(y for _, y in points)) * (1 if logarithmic else 1.1)
    place_x = lambda x: LEFT + (scale_x(x) - low_x) / ((high_x - low_x) or 1) * (WIDTH - LEFT - 20)
    place_y = lambda y: HEIGHT - BOTTOM - (scale(y) - low_y) / ((high_y - low_y) or 1) * (HEIGHT - BOTTOM - 40)
    parts = [
        f'<text x="{WIDTH / 2}" y="20" text-anchor="middle" font-weight="bold">{title}</text>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">{across}</text>',
        f'<text x="14" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 {HEIGHT / 2})">{up}</text>',
    ]
    for x in sorted({x for x, _ in points}):
        parts.append(f'<text x="{place_x(x):.0f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" font-size="10">{short(x)}</text>')
    marks = [10**power for power in range(math.floor(low_y), math.ceil(high_y) + 1)] if logarithmic else [
        high_y * step / 5 for step in range(6)
    ]
    for y in marks:
        if low_y - 1e-9 <= scale(y) <= high_y + 1e-9:
            at = place_y(y)
            parts.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - 20}" stroke="#d0d7de"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end" font-size="10">{short(y)}</text>')
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        way = " ".join(f"{place_x(x):.1f},{place_y(y):.1f}" for x, y in line)
        parts.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{place_x(x):.1f}" cy="{place_y(y):.1f}" r="3" fill="{colour}"/>' for x, y in line]
        parts.append(f'<text x="{LEFT + 14}" y="{44 + 16 * number}" fill="{colour}">{name}</text>')
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def short(value):
    for unit, size in [("M", 1e6), ("k", 1e3)]:
        if value >= size:
            return f"{value / size:g}{unit}" if value / size < 10 else f"{value / size:.0f}{unit}"
    return f"{value:.3g}"
