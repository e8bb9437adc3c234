"""The engine as a pure machine: a run's state is a fold of its inputs.

`reduce(run, input)` changes the run at once and returns a `Reaction`: the effects to perform after the
commit, what was published, which parts changed, and the verdict for the caller. Nothing here knows the
time, makes an id or awaits: whatever is decided outside arrives inside an input.
"""
