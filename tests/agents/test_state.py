"""The state directory: kept over restarts, closed to others, for one institution and one service at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agents.database import DatabaseError
from agents.state import State, StateError
from monitor.model.suite import PrivateKey
from support.enrolled import enrol


def test_the_directory_is_only_for_its_owner(tmp_path: Path) -> None:
    enrol(State(tmp_path / "state", "a"))
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "state").iterdir()} == {0}


def test_what_was_learnt_is_there_after_a_restart(tmp_path: Path) -> None:
    first = State(tmp_path, "a")
    first.learn_budgets({"nvr": 4, "dvr": 8, "old": 16})
    first.learn_budgets({"old": None})
    first.put("x", {"a": [1, None]})
    first.close()
    second = State(tmp_path, "a")
    assert second.learnt_budgets() == {"nvr": 4, "dvr": 8}
    assert second.get("x") == {"a": [1, None]}
    second.put("x", None)
    assert second.get("x") is None
    assert first.boot != second.boot


def test_a_state_of_another_institution_is_refused(tmp_path: Path) -> None:
    State(tmp_path, "a").close()
    with pytest.raises(
        StateError, match=f"the state directory {tmp_path} is that of institution a, and not of b: give"
    ):
        State(tmp_path, "b")


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"can't be made \(Not a directory\): correct state_dir or its owner"):
        State(tmp_path / "file" / "state", "a")


def test_the_enrolment_is_kept_and_its_key_never_shown(tmp_path: Path) -> None:
    state = State(tmp_path, "a")
    assert state.enrolment() is None
    assert state.identity() is None
    before = state.agent
    enrolment = enrol(state)
    again = State(tmp_path, "a")
    assert again.enrolment() == enrolment
    assert (again.agent, again.agent == before) == ("box", before == "box")
    identity = again.identity()
    assert identity is not None
    (file,) = tmp_path.glob("*.key")
    secret = file.read_text().splitlines()[1]
    assert secret not in f"{enrolment!r} {identity!r} {identity} {identity.key!r} {[identity.key]}"
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "agent.json", file)} == {0o600}


def test_a_key_that_the_enrolment_names_no_more_is_removed(tmp_path: Path) -> None:
    state = State(tmp_path, "a")
    enrol(state)
    second = enrol(state)
    assert [path.name for path in tmp_path.glob("*.key")] == [f"agent-{second.key}.key"]


def test_a_key_that_others_may_use_is_one_sentence(tmp_path: Path) -> None:
    state = State(tmp_path / "state", "a")
    enrolment = enrol(state)
    file = tmp_path / "state" / f"agent-{enrolment.key}.key"
    file.chmod(0o640)
    with pytest.raises(
        StateError, match=rf"key may be used by others than its owner \(mode 0640\): run chmod 600 {file}"
    ):
        state.identity()
    file.chmod(0o600)
    (tmp_path / "state").chmod(0o755)
    with pytest.raises(StateError, match=r"state may be used by others than its owner \(mode 0755\): run chmod 700"):
        state.identity()
    (tmp_path / "state").chmod(0o700)
    file.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(StateError, match=r"the private key can't be read: enrol the agent again"):
        state.identity()
    file.write_bytes(PrivateKey.make().pem())
    with pytest.raises(StateError, match=r"holds another key than its name says"):
        state.identity()
    file.unlink()
    with pytest.raises(StateError, match=r"enrol the agent again"):
        state.identity()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"token": "hunter2"}'])
def test_a_damaged_enrolment_is_one_sentence_without_its_secrets(tmp_path: Path, content: bytes) -> None:
    state = State(tmp_path, "a")
    (tmp_path / "agent.json").write_bytes(content)
    said = r"agent\.json (is damaged|can't be read|is of a version that used tokens): enrol the agent again"
    with pytest.raises(StateError, match=said) as caught:
        state.enrolment()
    assert "hunter2" not in str(caught.value)


def test_the_agents_id_is_chosen_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "登录 NVR_box.lan")
    assert State(tmp_path, "a").agent == "NVR_box"
    monkeypatch.setattr("socket.gethostname", lambda: "other")
    assert State(tmp_path, "a").agent == "NVR_box"


HOLDER = """
import sys
from pathlib import Path
from agents.database import DatabaseError
from agents.state import State
with State(Path(sys.argv[1]), "a").lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_service_on_the_same_directory_is_told_and_a_killed_one_frees_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        state = State(tmp_path, "a")
        with pytest.raises(StateError) as caught, state.lock():
            pass
        said = f"another `agent run` (process {holder.pid}) already uses {tmp_path}: stop it first"
        assert str(caught.value) == said
        holder.kill()
    with state.lock():
        assert (tmp_path / "run.lock").read_text() == f"{os.getpid()}\n"


def test_a_service_that_began_before_a_file_was_changed_goes_by_the_older_one(tmp_path: Path) -> None:
    file, state = tmp_path / "site.yaml", State(tmp_path / "state", "a")
    lock = state.directory / "run.lock"
    file.touch()

    def told(began: float, changed: float) -> bool:
        os.utime(lock, (began, began))
        os.utime(file, (changed, changed))
        return state.serves_older(file)

    with state.lock():
        assert told(1_800_000_000, 1_800_000_001)
        assert not told(1_800_000_001, 1_800_000_000)
        assert not told(5, 1_800_000_000), "its clock was not set when it began"
        file.unlink()
        assert not state.serves_older(file)
    file.touch()
    assert not state.serves_older(file), "none runs"


def test_a_held_lock_file_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    path.write_bytes("proc\u00e9s\x00".encode("latin-1"))
    state = State(tmp_path, "a")
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert state.is_running()
        with pytest.raises(StateError, match=r"\(process unknown\) already uses"), state.lock():
            pass


def test_a_command_that_only_asks_whether_a_service_runs_keeps_none_from_starting(tmp_path: Path) -> None:
    state = State(tmp_path, "a")
    assert not state.is_running()
    assert not (tmp_path / "run.lock").exists(), "asking as root must not leave a file that the service can't open"
    (tmp_path / "run.lock").touch()
    asking = threading.Event()

    def ask() -> None:
        while not asking.is_set():
            state.is_running()

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(ask), pool.submit(ask)]
        try:
            for _ in range(300):
                with state.lock():
                    assert state.is_running()
        finally:
            asking.set()
        assert [one.result() for one in both] == [None, None]


def test_a_directory_that_cannot_be_locked_is_not_said_to_be_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    state = State(tmp_path, "a")
    with (
        pytest.raises(StateError, match=r"run\.lock can't be locked \(No locks available\): put state_dir on"),
        state.lock(),
    ):
        pass


def test_a_directory_that_was_moved_or_replaced_is_known_to_be_another(tmp_path: Path) -> None:
    here, away = tmp_path / "state", tmp_path / "away"
    state = State(here, "a", enduring=True)
    assert state.taken_away() is None, "nobody holds it"
    with state.lock():
        enrolment = enrol(state)
        assert state.taken_away() is None
        here.rename(away)
        gone = state.taken_away()
        assert gone is not None
        assert gone.startswith(f"the state directory {here} was moved away, emptied or replaced while this `agent run`")
        away.rename(here)
        assert state.taken_away() is None, "the same one is back"
        here.rename(away)
        other = State(here, "a")
        with other.lock():
            assert (state.taken_away(), other.taken_away()) == (gone, None)
            with pytest.raises(StateError, match="was moved away"):
                state.save_enrolment(enrolment)
        assert not (here / "agent.json").exists()
        other.close()
    state.close()


def test_an_emptied_directory_is_not_the_one_that_was_locked(tmp_path: Path) -> None:
    state = State(tmp_path, "a", enduring=True)
    with state.lock():
        for path in tmp_path.iterdir():
            path.unlink()
        with State(tmp_path, "a").lock():
            assert state.taken_away() is not None


def test_a_file_in_a_folder_that_took_anothers_place_is_never_written_to(tmp_path: Path) -> None:
    """The queue, the journal, what is learnt: each is opened anew where its file was put away, and must not find another agent's."""
    here, away = tmp_path / "state", tmp_path / "away"
    state = State(here, "a", enduring=True)
    outbox, journal = state.outbox(), state.journal()
    state.put("mine", 1)
    here.rename(away)
    with pytest.raises(DatabaseError, match=r"outbox\.sqlite can't be made: No such file or directory"):
        outbox.put("0" * 32, lambda slot: b"x")
    other = State(here, "a")
    theirs = other.outbox()
    other.put("theirs", 2)
    with pytest.raises(DatabaseError, match=f"another folder was put in the place of {here}"):
        outbox.put("0" * 32, lambda slot: b"x")
    with pytest.raises(DatabaseError, match=f"another folder was put in the place of {here}"):
        journal.all(0)
    state.put("mine", 3)
    assert (state.get("mine"), state.get("theirs")) == (3, None), "in memory alone"
    assert (other.get("mine"), theirs.status().waiting) == (None, 0)
    for kept in (outbox, journal, theirs, state, other):
        kept.close()
    assert State(here, "a").get("mine") is None
