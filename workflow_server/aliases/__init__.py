"""The documented import names, `workflows` and `llama_agents`, as fallbacks.

The project is `workflow_server`; programs written by the guide say `from workflows import …` and
`from llama_agents.server import …`. Other distributions own packages of these names, and no file of
theirs may ever be touched, in whatever order things are installed and removed. So:

- `top_level/` holds what lies at the top of site-packages: the module *files* `workflows.py` and
  `llama_agents.py`. Python prefers a package to a module file of the same name in the same place, so
  a real `workflows/` beside ours wins, and when it is uninstalled, ours is found again.
- Once imported, such a file steps aside for the package that lies here under its name
  (`become_package`). A module file with a `__path__` of its own would almost do, but its spec would
  still say "no package" and `importlib.resources` would look for its data in site-packages.
- `llama_agents` is shared: folders of other distributions come first on its path, ours last.
- A leaf module puts the module it stands for into `sys.modules` under its own name. There is one
  `workflows.events`, whichever name was imported first, and patching it patches what the server uses.
- A package with modules below it (`workflows.context`, `workflows.server`) only re-exports.

The stub packages in `top_level/` say the same to type checkers, which do not follow module files into
folders. They speak of this project's classes even where another `workflows` is installed beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def become_package(name: str, *, before: Iterable[str] = ()) -> None:
    """Put the package `name` of this folder in the place of the module file being imported as `name`.

    Args:
        name: The top-level name, `workflows` or `llama_agents`.
        before: Folders to search for submodules before our own.
    """
    folder = Path(__file__).parent / name
    spec = spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=[*before, str(folder)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} cannot be loaded as {name!r}", name=name)
    module = module_from_spec(spec)
    # The import system hands out what stands here once the module file has run.
    sys.modules[name] = module
    spec.loader.exec_module(module)


def folders_on_path(name: str) -> list[str]:
    """Return the folders called `name` in the directories of `sys.path`, in its order."""
    candidates = (Path(entry).absolute() / name for entry in sys.path)
    return list(dict.fromkeys(str(folder) for folder in candidates if folder.is_dir()))
