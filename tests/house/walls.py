"""The import contract `only`: what a room may use of the project; whatever is not named is closed, also what is built later."""

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
