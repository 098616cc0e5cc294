"""The page of a pack: every installed pack, in both languages, with every number it has."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from dashboards.web.figures import Words
from dashboards.web.i18n import Language
from dashboards.web.rules import PARAMETERS, pack_view
from dashboards.web.times import Times
from monitor.model.regulation import Requirement, Requirements, Strength
from monitor.regulations.loader import load_all

PACKS = load_all()


def words(language: Language) -> Words:
    return Words(Times(ZoneInfo("UTC"), language))


def test_every_number_of_every_requirement_has_a_label() -> None:
    kinds = [field.annotation for field in Requirements.model_fields.values()]
    classes = {item for kind in kinds for item in getattr(kind, "__args__", ()) if isinstance(item, type)}
    names = {name for item in classes if issubclass(item, Requirement) for name in item.model_fields}
    assert names - {"title", "citation", "effective_from", "effective_to"} == set(PARAMETERS)


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("pack", PACKS, ids=[pack.id for pack in PACKS])
def test_a_pack_is_shown_whole(pack: object, language: Language) -> None:
    source = next(item for item in PACKS if item is pack)
    view = pack_view(source, words(language))
    assert [item.kind for item in view.requirements] == [item.kind for item in source.requirements.all()]
    assert len(view.references) == len(source.references)
    for item, shown in zip(source.requirements.all(), view.requirements, strict=True):
        assert shown.citation.title == getattr(item.citation.title, language.value)
        own = item.citation.strength is Strength.INTERNAL
        assert (shown.citation.status is None) is own  # our own settings have no wording that could be verified
        assert all(value for figure in shown.figures for value in figure.values)


def test_a_duration_of_nothing_says_at_once() -> None:
    source = PACKS[0].model_copy(deep=True)
    assert source.requirements.uptime is not None
    uptime = source.requirements.uptime.model_copy(update={"grace": 0})
    pack = source.model_copy(update={"requirements": Requirements(uptime=uptime)})
    (clause,) = pack_view(pack, words(Language.EN)).requirements
    assert "at once" in {value for figure in clause.figures for value in figure.values}
