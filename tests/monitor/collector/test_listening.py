"""The collector's own absence is nobody's silence."""

from sqlalchemy import Engine

from monitor.evaluation.judge import judge
from monitor.model.inventory import Institution, Inventory
from monitor.model.ledger import Facts
from monitor.model.span import DAY, HOUR, MINUTE, SECOND
from monitor.store.engine import reading, writing
from monitor.store.listening import listened_at, listening_since, listens, order_of_moments
from support.packs import pack

NOW = 1_795_000_000_000


def test_stretches_are_noted_and_an_absence_begins_a_new_one(engine: Engine) -> None:
    for at in (0, 10, 20, 100, 110):
        with writing(engine) as session:
            listens(session, NOW + at * SECOND, absent_after=15 * SECOND)
    with reading(engine) as session:
        assert listening_since(session, NOW - SECOND) is None
        assert listening_since(session, NOW + 35 * SECOND) == NOW
        assert listening_since(session, NOW + 99 * SECOND) == NOW + 99 * SECOND, "nobody listened then"
        assert listening_since(session, NOW + 125 * SECOND) == NOW + 100 * SECOND
        assert listening_since(session, NOW + DAY) == NOW + DAY, "evaluations may go on while nobody answers"


def test_of_a_moment_it_is_known_whether_somebody_listened(engine: Engine) -> None:
    """So a word that the collector gave, and knows nothing of, is known: its database was restored."""
    with reading(engine) as session:
        assert listened_at(session, NOW), "nothing is noted at all"
    for at in (0, 10, 20, 100, 110):
        with writing(engine) as session:
            listens(session, NOW + at * SECOND, absent_after=15 * SECOND)
    with reading(engine) as session:
        found = [listened_at(session, NOW + at * SECOND) for at in (-1, 5, 30, 60, 99, 100, 120)]
    assert found == [True, True, True, False, False, True, True]


def test_what_a_clock_that_was_ahead_noted_says_nothing_of_now(engine: Engine) -> None:
    """Else, until that time came again, nobody would be silent."""
    noted = [0, 5, 86_400, 86_405, 10, 15, 20]  # set ahead by a day, and right again
    for at in noted:
        with writing(engine) as session:
            listens(session, NOW + at * SECOND)
    with reading(engine) as session:
        assert listening_since(session, NOW + 25 * SECOND) == NOW
        assert listening_since(session, NOW + DAY + 5 * SECOND) == NOW + DAY, "so it was noted"
    for at in range(DAY // SECOND - 30, DAY // SECOND + 60, 10):
        with writing(engine) as session:
            listens(session, NOW + at * SECOND)
    with reading(engine) as session:
        since = listening_since(session, NOW + DAY + MINUTE)
        assert since is not None
        assert NOW + DAY - 30 * SECOND <= since <= NOW + DAY + 5 * SECOND


def test_a_clock_that_is_set_back_begins_a_new_stretch(engine: Engine) -> None:
    """An absence in the time that comes once more is one."""
    for at in (0, 10, 20):
        with writing(engine) as session:
            listens(session, NOW + HOUR + at * SECOND)
    for at in (0, 10, 600):
        with writing(engine) as session:
            listens(session, NOW + HOUR + 15 * SECOND - 30 * MINUTE + at * SECOND)
    back = NOW + 30 * MINUTE + 15 * SECOND
    with reading(engine) as session:
        assert listening_since(session, back + 12 * SECOND) == back
        assert listening_since(session, back + 605 * SECOND) == back + 600 * SECOND
        assert listened_at(session, NOW + HOUR + 5 * SECOND), "it did, by the clock of before"


def test_clocks_of_two_machines_may_be_apart(engine: Engine) -> None:
    for at in (0, -40, 10, -30, 20, -20):
        with writing(engine) as session:
            listens(session, NOW + at * SECOND)
    with reading(engine) as session:
        assert listening_since(session, NOW + 25 * SECOND) == NOW


def silence(last: int, listening: int | None) -> list[str]:
    facts = Facts(NOW, Inventory(institution=Institution(id="wj-0001"), zones=(), cameras=()))
    verdicts = judge(facts, pack(), last_reports={"box": last}, listening_since=listening)
    return [item.state for item in verdicts if item.requirement.kind == "agent_silence"]


def test_an_agent_is_not_called_silent_for_time_in_which_nobody_could_hear_it() -> None:
    assert silence(NOW - HOUR, None) == ["silent"]
    assert silence(NOW - HOUR, NOW - 2 * HOUR) == ["silent"]
    assert silence(NOW - HOUR, NOW - MINUTE) == [], "the centre came back a minute ago: it can't tell yet"
    assert silence(NOW - MINUTE, NOW - 5 * SECOND) == ["reporting"]


def test_a_moment_may_come_after_a_later_one_where_the_clock_was_set_back_in_between(engine: Engine) -> None:
    """It is told by the order in which stretches began: an absence is none, and what was before it doesn't come again."""
    wrong = NOW - 30 * DAY
    for at in (NOW, NOW + 10 * SECOND, NOW + HOUR, wrong, wrong + 10 * SECOND, NOW + 2 * HOUR, NOW + 2 * HOUR + SECOND):
        with writing(engine) as session:
            listens(session, at)
    with reading(engine) as session:
        precedes = order_of_moments(session)
    before, after, behind, right = NOW + 5 * SECOND, NOW + HOUR, wrong + 5 * SECOND, NOW + 2 * HOUR
    assert [precedes(one, other) for one, other in ((before, after), (after, right), (behind, right))] == [True] * 3
    assert [precedes(one, other) for one, other in ((before, behind), (after, behind))] == [True] * 2, "it was set back"
    assert [precedes(one, other) for one, other in ((right, behind), (right, after), (after, before))] == [False] * 3
    assert not precedes(after, wrong + HOUR), "nobody listened then"
    assert precedes(after, after - MINUTE + 1), "by the clock of another machine"
    assert not precedes(after, after - MINUTE)
