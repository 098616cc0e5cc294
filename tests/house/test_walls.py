"""The contracts `only` and `apart` see what they must: they are what the walls between the rooms rest on."""

import grimp

from house.walls import openings, trespasses


def graph(*imports: tuple[str, str]) -> grimp.ImportGraph:
    built = grimp.ImportGraph()
    for importer, imported in imports:
        built.add_import(importer=importer, imported=imported, line_number=7, line_contents="")
    return built


def test_what_is_allowed_passes() -> None:
    built = graph(
        ("agents.cli", "agents.site"),
        ("agents.cli", "monitor.model.clock"),
        ("agents.cli", "av"),
        ("monitor", "agents"),
    )
    assert trespasses(built, {"agents"}, {"monitor.model"}) == []


def test_what_is_not_named_is_closed() -> None:
    built = graph(("agents.cli", "monitor.store.engine"), ("agents.cli", "monitor.models"), ("agents", "dashboards"))
    assert trespasses(built, {"agents"}, {"monitor.model"}) == [
        "agents imports dashboards (line 7)",
        "agents.cli imports monitor.models (line 7)",
        "agents.cli imports monitor.store.engine (line 7)",
    ]


def test_a_room_inside_a_room_is_closed_to_its_siblings() -> None:
    built = graph(
        ("agents.simulators.rtsp", "agents.rtsp.message"), ("agents.simulators.rtsp", "agents.simulators.web")
    )
    assert trespasses(built, {"agents.simulators"}, set()) == [
        "agents.simulators.rtsp imports agents.rtsp.message (line 7)"
    ]


def test_what_is_kept_apart_is_reached_through_its_doors_alone() -> None:
    built = graph(
        ("agents.child", "av"),
        ("agents.child", "agents.film"),
        ("agents.film", "av"),
        ("agents.command", "agents.film"),
        ("agents.run", "agents.decoder"),
    )
    assert openings(built, "av", {"agents.child", "agents.film"}, {"agents.command"}) == []
    built = graph(("agents.run", "av"), ("agents.run", "agents.film"), ("agents.command", "av"), ("agents.film", "av"))
    assert openings(built, "av", {"agents.film"}, {"agents.command"}) == [
        "agents.run imports agents.film",
        "agents.command imports av",
        "agents.run imports av",
    ]
