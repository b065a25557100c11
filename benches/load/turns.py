"""Runs in turns: what drifts on a shared machine then drifts for all, and ratios of neighbours stay what they are."""


def turns(options, runs):
    """What each of `runs` measured in each round, by its name. Each is run for a second first, which does not count."""
    for run in runs.values():
        run(1)
    names, results = list(runs), {name: [] for name in runs}
    for turn in range(options.rounds if runs else 0):
        # Each time in another order, so that none always comes after the same one.
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            results[name].append(runs[name](options.seconds))
    return results
