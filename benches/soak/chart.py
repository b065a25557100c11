"""Curves over time as a picture, one below the other."""

WIDTH, HEIGHT, LEFT = 640, 110, 70


def write(path, title, minutes, curves, marks=()):
    """`curves` are (name, unit, values), a value for each of `minutes`; `marks` are minutes when something was done."""
    parts, top = [], 30
    last = max(minutes[-1], 1e-9)
    across = lambda minute: LEFT + (WIDTH - LEFT - 10) * minute / last
    for name, unit, values in curves:
        low, high = min(0, min(values)), max(max(values), 1)
        down = lambda value: top + HEIGHT - HEIGHT * (value - low) / (high - low)
        points = " ".join(f"{across(minute):.1f},{down(value):.1f}" for minute, value in zip(minutes, values))
        for mark in marks:
            parts.append(f'<path d="M{across(mark):.1f} {top}v{HEIGHT}" stroke="#eee"/>')
        parts += [
            f'<text x="{LEFT}" y="{top - 6}">{name}</text>',
            f'<path d="M{LEFT} {top}v{HEIGHT}H{WIDTH - 10}" fill="none" stroke="#8b949e"/>',
            f'<text x="{LEFT - 6}" y="{top + 10}" text-anchor="end">{high:.0f} {unit}</text>',
            f'<text x="{LEFT - 6}" y="{top + HEIGHT}" text-anchor="end">{low:.0f}</text>',
            f'<polyline points="{points}" fill="none" stroke="#1f6feb" stroke-width="1.5"/>',
        ]
        top += HEIGHT + 40
    parts.append(f'<text x="{WIDTH - 10}" y="{top - 20}" text-anchor="end">{last:.0f} minutes</text>')
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" font-family="sans-serif" font-size="12">'
        f'<title>{title}</title><rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )
