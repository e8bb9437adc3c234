"""The floors of the house, and what may not be on them.

Everything here is read from the source with `ast`, nothing is imported: an import inside a function, under
`if TYPE_CHECKING:` or spelled `import_module("…")` counts like any other. None of these is exempt, because a
type is a dependency too, and a late import is only a way to start faster, never a way around a floor.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "workflow_server"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "valueclass", "naming", "events", "observation", "types", "serializers", "wire"),
    ("definition", "engine", "http", "api"),
    ("stores", "stores.base", "stores.memory", "observers", "runtime", "manager"),
    ("stores.sqlite", "stores.postgres", "transports", "client", "testing"),
    ("server", "cli", "__main__", "aliases", ""),
)
"""Parts of the package by floor; the longest match says where a module lives. `""` is `workflow_server` itself."""

SAME_FLOOR: Mapping[str, tuple[str, ...]] = {
    # Floor 0 is a row of steps: each may use those before it.
    "naming": ("errors",),
    "events": ("errors", "naming"),
    "observation": ("events", "valueclass"),
    "types": ("events",),
    "serializers": ("errors", "naming", "events"),
    "wire": ("errors", "valueclass", "naming", "events", "serializers"),
    # A run's shape comes from the workflow's definition.
    "engine": ("definition",),
    # Requests, responses and stream frames are values; bytes stay with http.connection.
    "api": ("http.messages", "http.frames"),
    # The in-memory store implements the contract, and runs are kept in a store.
    "stores": ("stores.base", "stores.memory"),
    "stores.memory": ("stores.base",),
    "runtime": ("stores.base", "stores.memory", "observers"),
    "manager": ("runtime", "stores.base", "stores.memory"),
    # The top puts the parts together.
    "server": ("",),
    "cli": ("server", ""),
    "__main__": ("cli",),
    "aliases": ("server", "cli", ""),
    "": ("server",),
}
"""What a part may import from its own floor, beside itself. A name stands for everything below it."""

PURE_FLOORS = (0, 1)

BANNED_IN_PURE = {
    "anyio": "a loop",
    "asyncio": "a loop",
    "concurrent": "threads",
    "multiprocessing": "processes",
    "os": "the operating system",
    "queue": "threads",
    "random": "randomness",
    "secrets": "randomness",
    "select": "sockets",
    "selectors": "sockets",
    "signal": "the operating system",
    "sniffio": "a loop",
    "socket": "sockets",
    "sqlite3": "a database",
    "ssl": "sockets",
    "subprocess": "processes",
    "tempfile": "the operating system",
    "threading": "threads",
    "time": "a clock",
    "trio": "a loop",
    "uuid": "randomness",
}
"""What floors 0 and 1 never import: it arrives inside inputs. Only `from random import Random` is let in."""

CLOCK_CALLS = ("now", "utcnow", "today")

ASYNC_IN_PURE = {
    "api.application": "awaits the injected `execute` alone, so that parse, execute and render are one thing",
}
"""Pure modules with an `async def` outside a Protocol, and why."""

ONLY_IN = {
    "h11": ("http",),
    "sqlite3": ("stores.sqlite",),
    "psycopg": ("stores.postgres",),
    "httpx": ("client", "testing"),
    "llama_index_instrumentation": ("observers",),
    "opentelemetry": ("observers",),
}
"""Libraries that one part hides from the others."""

LINES_OF_MODULE = 300
LINES_OF_FUNCTION = 40

LONG_MODULES: Mapping[str, str] = {
    "client.client": "one class, each method with its arguments and documentation, and a line of code or two",
    "events": "one vocabulary with what its fields are made of: outside it is all called `workflows.events.X`, and "
    "`naming` finds that in one module",
}
LONG_FUNCTIONS: Mapping[str, str] = {
    "api.render.render": "one flat match over all outcomes, a line or two each",
    "engine.reduce.reduce": "one flat match over all inputs, a line or two each",
}
"""`module.function` or `module.Class.method`, and why it is one piece."""


# --------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class Imported:
    """One imported name: `module` as written, `name` from it (for `from … import`), and its line."""

    module: str
    name: str | None
    line: int


def imports_of(tree: ast.Module) -> Iterator[Imported]:
    """Yield every import of a module, wherever it stands."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (Imported(alias.name, None, node.lineno) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                # Relative imports are refused by ruff; here they would only look like something else.
                yield from (Imported("." * level + (module or ""), alias.name, node.lineno) for alias in names)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield Imported(module, None, node.lineno)
            case _:
                pass


def part_of(module: str, parts: frozenset[str]) -> str | None:
    """Return the longest of `parts` that is `module` or holds it, or `None`; only `""` itself is of the part `""`."""
    candidate = module
    while candidate not in parts:
        if not candidate:
            return None
        candidate = candidate.rpartition(".")[0]
    # Only the package's own `__init__` lives at "": an unknown module has no floor.
    return candidate if candidate or not module else None


def below(module: str, names: tuple[str, ...]) -> bool:
    """Tell whether `module` is one of `names` or lies below one; `""` means the package's own `__init__` alone."""
    return any(module == name or (name and module.startswith(f"{name}.")) for name in names)


PARTS = frozenset(name for floor in FLOORS for name in floor)
FLOOR_OF = {name: number for number, floor in enumerate(FLOORS) for name in floor}


# --------------------------------------------------------------------------------------------------- judging


def complaints_about_imports(module: str, tree: ast.Module, modules: frozenset[str]) -> Iterator[str]:
    """Yield what is wrong with the imports of `module` (named without the package), given all `modules` there are."""
    part = part_of(module, PARTS)
    if part is None:
        yield f"{module or PACKAGE}: has no floor; give it one in FLOORS"
        return
    floor = FLOOR_OF[part]
    for imported in imports_of(tree):
        where = f"{module or PACKAGE}:{imported.line}"
        root, _, rest = imported.module.partition(".")
        if root != PACKAGE:
            yield from complaints_about_library(where, part, floor, root, imported)
            continue
        # `from package import x` means the submodule x if there is one, else a name in the package.
        inside = ".".join(filter(None, (rest, imported.name)))
        target = inside if imported.name is not None and inside in modules else rest
        target_part = part_of(target, PARTS)
        if target_part is None:
            yield f"{where}: imports {target}, which has no floor"
        elif target_part == part or below(target, SAME_FLOOR.get(part, ())):
            continue
        elif FLOOR_OF[target_part] >= floor:
            theirs = FLOOR_OF[target_part]
            yield f"{where}: floor {floor} ({part or PACKAGE}) imports {target or PACKAGE} of floor {theirs}"


def complaints_about_library(where: str, part: str, floor: int, root: str, imported: Imported) -> Iterator[str]:
    """Yield what is wrong with the import of a library by `part`."""
    seeded = imported.module == "random" and imported.name == "Random"
    if floor in PURE_FLOORS and root in BANNED_IN_PURE and not seeded:
        yield f"{where}: floor {floor} imports {root} ({BANNED_IN_PURE[root]})"
    if root in ONLY_IN and not below(part, ONLY_IN[root]):
        yield f"{where}: {root} belongs to {' and '.join(ONLY_IN[root])} alone"


def complaints_about_purity(module: str, tree: ast.Module) -> Iterator[str]:
    """Yield what else a module of the pure floors may not do: ask for the time, draw unseeded, await."""
    part = part_of(module, PARTS)
    if part is None or FLOOR_OF[part] not in PURE_FLOORS:
        return
    protocols = {id(method) for node in ast.walk(tree) if is_protocol(node) for method in ast.walk(node)}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) if name in CLOCK_CALLS and "date" in ast.unparse(node.value):
                yield f"{module}:{node.lineno}: asks for the time with {ast.unparse(node)}"
            case ast.Call(func=ast.Name(id="Random") | ast.Attribute(attr="Random"), args=[], keywords=[]):
                yield f"{module}:{node.lineno}: a generator without a seed"
            case ast.AsyncFunctionDef() if id(node) not in protocols and module not in ASYNC_IN_PURE:
                yield f"{module}:{node.lineno}: async def {node.name} outside a Protocol"
            case _:
                pass


def is_protocol(node: ast.AST) -> bool:
    """Tell whether `node` is a class that only promises: one with `Protocol` or `Protocol[…]` among its bases."""
    return isinstance(node, ast.ClassDef) and any(
        ast.unparse(base).partition("[")[0].rpartition(".")[2] == "Protocol" for base in node.bases
    )


Function = ast.FunctionDef | ast.AsyncFunctionDef


def definitions_of(tree: ast.Module) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Yield functions, classes and methods with their dotted names; what is local to a function is left out."""
    pending: list[tuple[str, ast.AST]] = [("", tree)]
    while pending:
        prefix, parent = pending.pop()
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, Function | ast.ClassDef):
                yield f"{prefix}{node.name}", node
                if isinstance(node, ast.ClassDef):
                    pending.append((f"{prefix}{node.name}.", node))
            elif isinstance(node, ast.If | ast.Try | ast.With):
                pending.append((prefix, node))


def is_public(dotted: str) -> bool:
    """Tell whether no component of a name begins with an underscore."""
    return not any(name.startswith("_") for name in dotted.split("."))


def complaints_about_documentation(module: str, tree: ast.Module, promised: frozenset[str]) -> Iterator[str]:
    """Yield public things without a docstring; methods in `promised` are documented where they are promised."""
    if is_public(module) and ast.get_docstring(tree) is None:
        yield f"{module or PACKAGE}: the module has no docstring"
    for name, node in definitions_of(tree):
        if not is_public(module) or not is_public(name) or ast.get_docstring(node) is not None:
            continue
        # The name of a test says what holds.
        if below(module, ("testing",)) and node.name.startswith("test_"):
            continue
        decorators = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
        if decorators & {"overload", "override", "setter", "deleter"}:
            continue
        if "." in name and not isinstance(node, ast.ClassDef) and node.name in promised:
            continue
        yield f"{module or PACKAGE}:{node.lineno}: {name} has no docstring"


def promised_by(trees: Mapping[str, ast.Module]) -> frozenset[str]:
    """Return the names of methods that a Protocol or an abstract class documents for those who implement it."""
    return frozenset(
        method.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and (is_protocol(node) or any(ast.unparse(b) == "ABC" for b in node.bases))
        for method in node.body
        if isinstance(method, Function) and ast.get_docstring(method) is not None
    )


def length_of(node: Function) -> int:
    """Return the lines of a function from `def` to its end, its docstring left out."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node) is not None:
        text = node.body[0]
        lines -= (text.end_lineno or text.lineno) - text.lineno + 1
    return lines


def complaints_about_length(
    module: str, source: str, tree: ast.Module, modules: Mapping[str, str], functions: Mapping[str, str]
) -> Iterator[str]:
    """Yield what is longer than the house allows, and entries of the two lists that are no longer needed."""
    lines = len(source.splitlines())
    if lines > LINES_OF_MODULE and module not in modules:
        yield f"{module}: {lines} lines (at most {LINES_OF_MODULE}, or a reason in LONG_MODULES)"
    if lines <= LINES_OF_MODULE and module in modules:
        yield f"{module}: is in LONG_MODULES with only {lines} lines"
    for name, node in definitions_of(tree):
        if isinstance(node, ast.ClassDef):
            continue
        dotted, lines = f"{module}.{name}", length_of(node)
        if lines > LINES_OF_FUNCTION and dotted not in functions:
            yield f"{dotted}: {lines} lines (at most {LINES_OF_FUNCTION}, or a reason in LONG_FUNCTIONS)"
        if lines <= LINES_OF_FUNCTION and dotted in functions:
            yield f"{dotted}: is in LONG_FUNCTIONS with only {lines} lines"


def complaints_about(
    sources: Mapping[str, str], *, long_modules: Mapping[str, str], long_functions: Mapping[str, str]
) -> list[str]:
    """Return all that is wrong with a package, given its modules' sources by name (without the package's)."""
    trees = {module: ast.parse(source) for module, source in sources.items()}
    modules, promised = frozenset(trees), promised_by(trees)
    found: list[str] = []
    for module, tree in trees.items():
        found += complaints_about_imports(module, tree, modules)
        found += complaints_about_purity(module, tree)
        found += complaints_about_documentation(module, tree, promised)
        found += complaints_about_length(module, sources[module], tree, long_modules, long_functions)
    functions = {f"{module}.{name}" for module, tree in trees.items() for name, _ in definitions_of(tree)}
    found += [f"{name}: is in LONG_MODULES but not in the package" for name in long_modules if name not in modules]
    found += [
        f"{name}: is in LONG_FUNCTIONS but not in the package" for name in long_functions if name not in functions
    ]
    return found


def sources_of_package() -> dict[str, str]:
    """Return the package's sources by module name without the package's; `""` is its `__init__`."""
    folder = ROOT / PACKAGE
    sources: dict[str, str] = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        sources[".".join(part for part in parts if part != "__init__")] = path.read_text(encoding="utf-8")
    return sources


# --------------------------------------------------------------------------------------------------- the house


def test_the_package_keeps_its_floors() -> None:
    sources = sources_of_package()
    assert "events" in sources, "the sources were not found"
    assert "api.commands" in sources, "the sources were not found"
    found = complaints_about(sources, long_modules=LONG_MODULES, long_functions=LONG_FUNCTIONS)
    assert not found, "\n" + "\n".join(found)


def test_scripts_of_the_page_are_no_longer_than_modules() -> None:
    long = {
        path.name: n for path in (ROOT / "ui_dist").rglob("*.js") if (n := len(path.read_text().splitlines())) > 300
    }
    assert not long


# --------------------------------------------------------------------------------------------------- the checker


def judge(module: str, source: str, **others: str) -> list[str]:
    """Judge one synthetic module beside a few known ones, its docstring and those of others given."""
    known = {"errors": '"""."""', "http.messages": '"""."""', "http.connection": '"""."""', "server": '"""."""'}
    named = {name.replace("__", "."): text for name, text in others.items()}
    return complaints_about({**known, **named, module: f'"""Text."""\n{source}'}, long_modules={}, long_functions={})


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("events", "import asyncio"),
        ("events", "import os.path"),
        ("engine.reduce", "def f():\n    '''.'''\n    import time"),
        ("engine.reduce", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from anyio import Event"),
        ("engine.reduce", "from importlib import import_module\nclock = import_module('time')"),
        ("engine.reduce", "import importlib\nclock = importlib.import_module('trio.lowlevel')"),
        ("engine.reduce", "clock = __import__('time')"),
        ("engine.reduce", "import random"),
        ("engine.reduce", "from random import random"),
        ("engine.reduce", "from random import Random\ngenerator = Random()"),
        ("engine.reduce", "from datetime import datetime\nmoment = datetime.now()"),
        ("engine.reduce", "import datetime\nmoment = datetime.datetime.utcnow()"),
        ("engine.reduce", "from datetime import date\nclock = date.today"),
        ("engine.reduce", "async def f():\n    '''.'''"),
        ("engine.reduce", "class Later:\n    '''.'''\n    async def f(self):\n        '''.'''"),
        ("errors", "import workflow_server.wire.records"),
        ("errors", "from workflow_server import naming"),
        ("wire.records", "from workflow_server.http import messages"),
        ("naming", "from workflow_server.events import Event"),
        ("definition.step", "from workflow_server.engine import inputs"),
        ("http.frames", "from workflow_server.api.commands import Command"),
        ("api.render", "from workflow_server.http.connection import Connection"),
        ("api.render", "from workflow_server.http import connection"),
        ("runtime.runner", "from workflow_server.manager import Manager"),
        ("runtime.runner", "def f():\n    '''.'''\n    from workflow_server import server"),
        ("runtime.runner", "from workflow_server import WorkflowServer"),
        ("runtime.runner", "import workflow_server"),
        ("stores.base", "from workflow_server.stores.memory import MemoryWorkflowStore"),
        ("stores.sqlite.writer", "from workflow_server.transports import tcp"),
        ("transports.tcp", "from workflow_server.cli import main"),
        ("transports.tcp", "import h11"),
        ("runtime.runner", "import sqlite3"),
        ("misplaced", ""),
        ("runtime.runner", "from workflow_server.misplaced import anything"),
        ("errors", "def f():\n    pass"),
        ("errors", "class Broken:\n    pass"),
        ("errors", "def test_that_one_is_one():\n    pass"),
        ("errors", "class Broken:\n    '''.'''\n    def repair(self):\n        pass"),
        ("errors", "if True:\n    def f():\n        pass"),
        ("errors", "def f():\n    '''.'''\n" + "    f()\n" * 40),
        ("errors", "\n" * 300),
    ],
)
def test_a_violation_is_found(module: str, source: str) -> None:
    assert len(judge(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("events", "from workflow_server.naming import resolve\nfrom datetime import datetime\nmoment: datetime"),
        ("engine.reduce", "from random import Random\ndef f(seed):\n    '''.'''\n    return Random(seed)"),
        ("engine.reduce", "from workflow_server.definition import compiled\nfrom workflow_server.engine import state"),
        (
            "engine.reduce",
            "from typing import Protocol\nclass Later(Protocol):\n    '''.'''\n    async def f(self): ...",
        ),
        ("api.render", "from workflow_server.http import messages\nfrom workflow_server.http.frames import sse_frame"),
        ("http.connection", "import h11"),
        ("runtime.runner", "import anyio, time\nfrom workflow_server.stores.memory import MemoryWorkflowStore"),
        ("runtime.runner", "from importlib import import_module\ndef f(name):\n    '''.'''\n    import_module(name)"),
        ("stores.sqlite.writer", "import sqlite3\nfrom workflow_server.stores import base"),
        ("server", "from workflow_server.transports import tcp"),
        ("", "def f():\n    '''.'''\n    from workflow_server import server"),
        ("testing.contract", "class Contract:\n    '''.'''\n    def test_that_one_is_one(self):\n        pass"),
        ("errors", "def _f():\n    pass\nclass _Hidden:\n    def repair(self):\n        pass"),
        ("errors", "def f():\n    '''.\n" + "    \n" * 60 + "    '''\n" + "    f()\n" * 39),
    ],
)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    text = source.replace("async def f(self): ...", "async def f(self):\n        '''.'''")
    assert judge(module, text) == []


def test_a_promised_method_is_documented_where_it_is_promised() -> None:
    promise = "'''.'''\nclass Source(Protocol):\n    '''.'''\n    def close(self):\n        '''.'''"
    kept = "class Pages:\n    '''.'''\n    def close(self):\n        pass"
    assert judge("runtime.feed", kept)
    assert not judge("runtime.feed", kept, engine__promise=promise)


def test_an_exemption_that_is_no_longer_needed_is_a_complaint() -> None:
    short = {"errors": '"""."""\ndef f():\n    """."""'}
    assert complaints_about(short, long_modules={"errors": "was long"}, long_functions={})
    assert complaints_about(short, long_modules={"gone": "was long"}, long_functions={})
    assert complaints_about(short, long_modules={}, long_functions={"errors.f": "was long"})
    assert complaints_about(short, long_modules={}, long_functions={"errors.gone": "was long"})
