"""Import contracts of our own, which hold for what is built later, too.

`only`: what a room may use of the project; whatever is not named is closed. `apart`: who may use what is kept apart from all.
"""

from typing import ClassVar, cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

ROOTS = ("monitor", "agents", "dashboards")


def _within(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def trespasses(graph: ImportGraph, sources: set[str], allowed: set[str]) -> list[str]:
    """Return one line for each import from `sources` into a part of the project that is neither theirs nor allowed."""
    lines = []
    for importer in sorted(graph.modules):
        if not _within(importer, sources):
            continue
        for imported in sorted(graph.find_modules_directly_imported_by(importer)):
            if not _within(imported, set(ROOTS)) or _within(imported, sources | allowed):
                continue
            details = graph.get_import_details(importer=importer, imported=imported)
            where = ", ".join(str(detail["line_number"]) for detail in details)
            lines.append(f"{importer} imports {imported} (line {where})")
    return lines


class OnlyContract(Contract):
    """`source_modules` import of the project only themselves and `allowed_modules`."""

    type_name: ClassVar[str] = "only"
    source_modules = fields.SetField(subfield=fields.StringField())
    allowed_modules = fields.SetField(subfield=fields.StringField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Judge the graph of imports."""
        sources = cast("set[str]", self.source_modules)
        allowed = cast("set[str]", self.allowed_modules) or set()
        lines = trespasses(graph, sources, allowed)
        return ContractCheck(kept=not lines, metadata={"lines": lines})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print what broke the contract."""
        for line in check.metadata["lines"]:
            output.print_error(line)


def openings(graph: ImportGraph, kept: str, keepers: set[str], doors: set[str]) -> list[str]:
    """Return one line for each import of `kept` outside its `keepers`, and of these by what is neither theirs nor a door."""
    lines = []
    for imported in sorted({kept} | keepers):
        allowed = keepers if imported == kept else keepers | doors
        importers = graph.find_modules_that_directly_import(imported) if imported in graph.modules else set()
        lines += [f"{one} imports {imported}" for one in sorted(importers) if not _within(one, allowed)]
    return lines


class ApartContract(Contract):
    """`kept_module` is imported by `keeper_modules` alone, and these by each other and `door_modules` alone."""

    type_name: ClassVar[str] = "apart"
    kept_module = fields.StringField()
    keeper_modules = fields.SetField(subfield=fields.StringField())
    door_modules = fields.SetField(subfield=fields.StringField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Judge the graph of imports."""
        keepers = cast("set[str]", self.keeper_modules)
        gone = sorted(keepers - graph.modules)
        lines = [f"{name} is no module" for name in gone]
        lines += openings(graph, cast("str", self.kept_module), keepers, cast("set[str]", self.door_modules) or set())
        return ContractCheck(kept=not lines, metadata={"lines": lines})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print what broke the contract."""
        for line in check.metadata["lines"]:
            output.print_error(line)
